"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

from collections.abc import Mapping

from tinyaccel.errors import ArgumentError
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.optim.group import ParameterGroup
from tinyaccel.optim.hyper import Hyper, at_least_zero
from tinyaccel.optim.optimizer import Optimizer, ParameterState, Params
from tinyaccel.tensor import Tensor


class SGD(Optimizer):
    """p <- p - lr * b, where

        g <- g + weight_decay * p
        b <- momentum * b + (1 - dampening) * g     (b <- g in the first step)
        b <- g + momentum * b                       (for this step only, if nesterov)

    and b = g where momentum is 0.

    params         tensors, as `model.parameters()` gives them, or groups (see `Optimizer`)
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
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip

    def check_options(self, options: Mapping[str, float]) -> None:
        momentum, dampening = options["momentum"], options["dampening"]
        at_least_zero("SGD", dampening=dampening)
        if options["nesterov"] and (not momentum > 0 or dampening != 0):
            raise ArgumentError(
                f"SGD: nesterov with momentum={momentum} and dampening={dampening}; "
                "it needs a momentum above 0 and a dampening of 0"
            )

    def make_state(self, group: ParameterGroup) -> None:
        super().make_state(group)
        if group["dampening"]:
            group.add_state("step", shape=())

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if state.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        if state.uses("momentum"):
            fresh = g
            if state.option("dampening"):
                first = equal(state["step"], 0)
                state.advance()
                fresh = where(first, g, (1 - state.option("dampening")) * g)
            momentum = state.hyper("momentum")
            buffer = momentum * state["momentum_buffer"] + fresh
            state["momentum_buffer"] = buffer
            g = g + momentum * buffer if state.option("nesterov") else buffer
        return p - state.hyper("lr") * g
