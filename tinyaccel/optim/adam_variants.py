"""Adam's variants: Adamax, NAdam and RAdam."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tinyaccel.ops.elementwise import abs, exp, greater, maximum, sqrt, where
from tinyaccel.optim.adam import AdamLike
from tinyaccel.optim.group import ParameterGroup
from tinyaccel.optim.hyper import at_least_zero
from tinyaccel.optim.optimizer import ParameterState, Params
from tinyaccel.tensor import Tensor


class Adamax(AdamLike):
    """p <- p - lr / (1 - beta1**t) * m / u, where

        g <- g + weight_decay * p
        m <- m + (1 - beta1) * (g - m)               (state "exp_avg")
        u <- max(beta2 * u, |g| + eps)               (state "exp_inf")

    Adam, with the largest recent gradient in place of the root mean square. Arguments and what is
    raised as for `Adam`.
    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980, section 7.1.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = Adamax([p], lr=0.125)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.numpy().round(3)
    array([0.875, 1.875], dtype=float32)
    """

    __slots__ = ()

    buffers = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        p, g = self.decay(p, g, state)
        step = state.advance()
        m = state["exp_avg"] + state.hyper("1-beta1") * (g - state["exp_avg"])
        largest = maximum(state.hyper("beta2") * state["exp_inf"], abs(g) + state.option("eps"))
        state["exp_avg"], state["exp_inf"] = m, largest
        return p - state.hyper("lr") / state.correction("beta1", step) * (m / largest)


class NAdam(AdamLike):
    """Adam with Nesterov's look ahead: p <- p - lr * n / (sqrt(v / (1 - beta2**t)) + eps), where

        mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        P     = mu(1) * ... * mu(t)                             (state "mu_product")
        n     = (1 - mu(t)) / (1 - P) * g + mu(t + 1) / (1 - P mu(t + 1)) * m

    and g, m, v and t are Adam's.

    momentum_decay  0 or more, fixed
    decoupled_weight_decay  whether weight decay shrinks the parameter itself, as AdamW's does

    The other arguments and what is raised as for `Adam`.
    T. Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.
    """

    __slots__ = ()

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            momentum_decay=momentum_decay, decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )  # fmt: skip

    def check_options(self, options: Mapping[str, float]) -> None:
        super().check_options(options)
        at_least_zero("NAdam", momentum_decay=options["momentum_decay"])

    def make_state(self, group: ParameterGroup) -> None:
        super().make_state(group)
        group.add_state("mu_product", 1.0, shape=())

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        p, g = self.decay(p, g, state)
        step = state.advance()
        m, v = self.moments(g, state)
        fading = state.option("momentum_decay") * math.log(0.96)
        now, ahead = (state.hyper("beta1") * (1 - exp(t * fading) / 2) for t in (step, step + 1))
        product = state["mu_product"] * now
        state["mu_product"] = product
        direction = (1 - now) / (1 - product) * g + ahead / (1 - product * ahead) * m
        spread = sqrt(v) / sqrt(state.correction("beta2", step)) + state.option("eps")
        return p - state.hyper("lr") * (direction / spread)


class RAdam(AdamLike):
    """Adam that waits until it knows enough of the gradient's size: with m / (1 - beta1**t) as M,

        p <- p - lr * M                                                     (if rho <= 5)
        p <- p - lr * M * r * sqrt(1 - beta2**t) / (sqrt(v) + eps)          (otherwise)
        r**2 = (rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho)

    rho is how many gradients v stands for, and R = 2 / (1 - beta2) - 1 what it tends to. It is
    2 s / w - 1 with w = 1 + beta2 + ... + beta2**(t-1), the weights of the gradients in v, and
    s <- beta2 * s + w (state "age_sum"), these times their ages. g, m, v and t are Adam's.

    decoupled_weight_decay  whether weight decay shrinks the parameter itself, as AdamW's does

    The other arguments and what is raised as for `Adam`.
    L. Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", arXiv:1908.03265.
    """

    __slots__ = ()

    counters = ("step", "age_sum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        p, g = self.decay(p, g, state)
        step = state.advance()
        m, v = self.moments(g, state)
        m = m / state.correction("beta1", step)
        known = state.correction("beta2", step)
        # The textbook's R - 2 t beta2**t / (1 - beta2**t) loses all digits of rho to cancellation
        # while it is small beside R; this sum of what is positive is the same.
        weights = known / state.hyper("1-beta2")
        ages = state.hyper("beta2") * state["age_sum"] + weights
        state["age_sum"] = ages
        rho = 2 * (ages / weights) - 1
        enough, rho, limit = greater(rho, 5), maximum(rho, 5), 2 / state.hyper("1-beta2") - 1
        rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
        scaled = sqrt(rectified * known) / (sqrt(v) + state.option("eps"))
        return p - state.hyper("lr") * m * where(enough, scaled, 1)
