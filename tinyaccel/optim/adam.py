"""Adam and AdamW: steps along an average of past gradients, each scaled by its size."""

from __future__ import annotations

from collections.abc import Mapping

from tinyaccel.ops.elementwise import maximum, sqrt
from tinyaccel.optim.group import ParameterGroup
from tinyaccel.optim.hyper import Hyper, HyperPair, at_least_zero
from tinyaccel.optim.optimizer import Optimizer, ParameterState, Params
from tinyaccel.tensor import Tensor


class AdamLike(Optimizer):
    """What Adam and its kin share: two moments of the gradient, betas, and weight decay."""

    __slots__ = ()

    lr = Hyper()
    beta1 = Hyper(below=1, complement=True, logarithm=True)
    beta2 = Hyper(below=1, complement=True, logarithm=True)
    betas = HyperPair("beta1", "beta2")
    weight_decay = Hyper(optional=True)
    buffers: tuple[str, ...] = ("exp_avg", "exp_avg_sq")
    counters: tuple[str, ...] = ("step",)

    def check_options(self, options: Mapping[str, float]) -> None:
        at_least_zero(type(self).__name__, eps=options["eps"])

    def decay(self, p: Tensor, g: Tensor, state: ParameterState) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay: either it shrinks the parameter itself by
        lr * weight_decay, or it is part of the gradient.
        """
        if not state.uses("weight_decay"):
            return p, g
        rate = state.hyper("weight_decay")
        if self.decoupled(state):
            return p * (1 - state.hyper("lr") * rate), g
        return p, g + rate * p

    def decoupled(self, state: ParameterState) -> bool:
        """Whether weight decay is apart from the gradient."""
        return bool(state.group.fixed.get("decoupled_weight_decay", False))

    def moments(self, g: Tensor, state: ParameterState) -> tuple[Tensor, Tensor]:
        """The averages of the gradient and of its square, with `g` taken into them."""
        m = state["exp_avg"] + state.hyper("1-beta1") * (g - state["exp_avg"])
        v = state.hyper("beta2") * state["exp_avg_sq"] + state.hyper("1-beta2") * (g * g)
        state["exp_avg"], state["exp_avg_sq"] = m, v
        return m, v


class Adam(AdamLike):
    """p <- p - lr / (1 - beta1**t) * m / (sqrt(v / (1 - beta2**t)) + eps), where

        g <- g + weight_decay * p
        m <- m + (1 - beta1) * (g - m)               (state "exp_avg")
        v <- beta2 * v + (1 - beta2) * g**2          (state "exp_avg_sq")

    and t counts the parameter's steps from 1; amsgrad takes the largest v so far instead of v.

    params  tensors, as `model.parameters()` gives them, or groups (see `Optimizer`)
    lr, betas, weight_decay  0 or more, betas below 1; may be changed between steps, jitted or not
    eps       0 or more, fixed
    amsgrad   whether v may not shrink
    maximize  climb instead of descend

    Raises `ArgumentError` for an impossible value, and as `Optimizer` does.
    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980; amsgrad:
    S. Reddi, S. Kale, S. Kumar, "On the Convergence of Adam and Beyond", arXiv:1904.09237.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.numpy().round(3)
    array([0.9, 1.9], dtype=float32)
    """

    __slots__ = ()

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize,
        )  # fmt: skip

    def make_state(self, group: ParameterGroup) -> None:
        super().make_state(group)
        if group["amsgrad"]:
            group.add_state("max_exp_avg_sq")

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        p, g = self.decay(p, g, state)
        step = state.advance()
        m, v = self.moments(g, state)
        if state.option("amsgrad"):
            v = maximum(state["max_exp_avg_sq"], v)
            state["max_exp_avg_sq"] = v
        size = state.hyper("lr") / state.correction("beta1", step)
        spread = sqrt(v) / sqrt(state.correction("beta2", step)) + state.option("eps")
        return p - size * (m / spread)


class AdamW(Adam):
    """Adam, with the decay apart from the gradient: p <- p * (1 - lr * weight_decay) before it.

    Arguments and what is raised as for `Adam`; weight_decay is 0.01 by default.
    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = AdamW([p], lr=0.1, weight_decay=0.5)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.85, 1.8 ])
    """

    __slots__ = ()

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decoupled(self, state: ParameterState) -> bool:
        return True
