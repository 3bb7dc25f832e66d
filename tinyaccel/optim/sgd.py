"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

from collections.abc import Iterable

from tinyaccel.errors import ArgumentError
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.optim.optimizer import Hyper, Optimizer, ParameterState, at_least_zero
from tinyaccel.tensor import Tensor


class SGD(Optimizer):
    """p <- p - lr * b, where

        g <- g + weight_decay * p
        b <- momentum * b + (1 - dampening) * g     (b <- g in the first step)
        b <- g + momentum * b                       (for this step only, if nesterov)

    and b = g where momentum is 0.

    params         tensors, as `model.parameters()` gives them
    lr, momentum, weight_decay  0 or more; may be changed between steps, jitted or not
    dampening      how much of the gradient is held back from b, 0 or more; fixed
    nesterov       whether to look ahead; needs a momentum, and a dampening of 0
    maximize       climb instead of descend

    Raises `ArgumentError` for an impossible value, and as `Optimizer` does.
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
    ICML 2013; Y. Nesterov, Doklady AN SSSR 269 (1983); the formulas in PyTorch's form.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.8, 1.6])
    """

    __slots__ = ()

    lr = Hyper()
    momentum = Hyper(optional=True, buffer="momentum_buffer")
    weight_decay = Hyper(optional=True)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        at_least_zero("SGD", dampening=dampening)
        if nesterov and (not momentum > 0 or dampening != 0):
            raise ArgumentError(
                f"SGD: nesterov with momentum={momentum} and dampening={dampening}; "
                "it needs a momentum above 0 and a dampening of 0"
            )
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip
        if dampening:
            self.add_state("step", shape=())

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if self.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        if self.uses("momentum"):
            momentum = state.hyper("momentum")
            fresh = g
            if self.defaults["dampening"]:
                first = equal(state["step"], 0)
                state.advance()
                fresh = where(first, g, (1 - self.defaults["dampening"]) * g)
            state["momentum_buffer"] = momentum * state["momentum_buffer"] + fresh
            buffer = state["momentum_buffer"]
            g = g + momentum * buffer if self.defaults["nesterov"] else buffer
        return p - state.hyper("lr") * g
