"""Optimizers that scale each number's step by its own past gradients."""

from __future__ import annotations

from collections.abc import Iterable

from tinyaccel.errors import ArgumentError
from tinyaccel.ops.elementwise import maximum, sqrt
from tinyaccel.optim.optimizer import Hyper, Optimizer, ParameterState, at_least_zero
from tinyaccel.tensor import Tensor


class Adagrad(Optimizer):
    """p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(sum) + eps), where

        g   <- g + weight_decay * p
        sum <- sum + g**2                 (from initial_accumulator_value on)

    and t counts the parameter's steps from 1.

    params  tensors, as `model.parameters()` gives them
    lr, weight_decay  0 or more; may be changed between steps, jitted or not
    lr_decay, initial_accumulator_value, eps  0 or more; fixed
    maximize  climb instead of descend

    Raises `ArgumentError` for an impossible value, and as `Optimizer` does.
    J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", JMLR 12 (2011).

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = Adagrad([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.9, 1.9])
    """

    __slots__ = ()

    lr = Hyper()
    weight_decay = Hyper(optional=True)
    counters = ("step",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        initial = initial_accumulator_value
        at_least_zero("Adagrad", lr_decay=lr_decay, initial_accumulator_value=initial, eps=eps)
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial, eps=eps, maximize=maximize,
        )  # fmt: skip
        self.add_state("sum", initial)

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if self.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        step = state.advance()
        lr = state.hyper("lr")
        if self.defaults["lr_decay"]:
            lr = lr / (1 + (step - 1) * self.defaults["lr_decay"])
        state["sum"] = state["sum"] + g * g
        return p - lr * (g / (sqrt(state["sum"]) + self.defaults["eps"]))


class RMSprop(Optimizer):
    """p <- p - lr * b, where

        g          <- g + weight_decay * p
        square_avg <- alpha * square_avg + (1 - alpha) * g**2
        grad_avg   <- alpha * grad_avg + (1 - alpha) * g            (if centered)
        b          <- momentum * b + g / (sqrt(square_avg - grad_avg**2) + eps)

    grad_avg is 0 unless centered.

    params  tensors, as `model.parameters()` gives them
    lr, alpha, weight_decay, momentum  0 or more, alpha below 1; may be changed between steps
    eps       0 or more, fixed
    centered  whether to divide by the deviation rather than the root mean square
    maximize  climb instead of descend

    Raises `ArgumentError` for an impossible value, and as `Optimizer` does.
    G. Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012; centered: A. Graves,
    "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = RMSprop([p], lr=0.1, alpha=0.0)
    >>> (p * p).sum().backward()
    >>> opt.step()
    >>> p.detach()
    tensor([0.9, 1.9])
    """

    __slots__ = ()

    lr = Hyper()
    alpha = Hyper(below=1, complement=True)
    weight_decay = Hyper(optional=True)
    momentum = Hyper(optional=True, buffer="momentum_buffer")
    buffers = ("square_avg",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        at_least_zero("RMSprop", eps=eps)
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip
        if centered:
            self.add_state("grad_avg")

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if self.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        alpha, rest = state.hyper("alpha"), state.hyper("1-alpha")
        square = alpha * state["square_avg"] + rest * (g * g)
        state["square_avg"] = square
        if self.defaults["centered"]:
            mean = state["grad_avg"] + rest * (g - state["grad_avg"])
            state["grad_avg"] = mean
            square = square - mean * mean
        scaled = g / (sqrt(square) + self.defaults["eps"])
        if self.uses("momentum"):
            scaled = state.hyper("momentum") * state["momentum_buffer"] + scaled
            state["momentum_buffer"] = scaled
        return p - state.hyper("lr") * scaled


class Adam(Optimizer):
    """p <- p - lr / (1 - beta1**t) * m / (sqrt(v / (1 - beta2**t)) + eps), where

        g <- g + weight_decay * p
        m <- m + (1 - beta1) * (g - m)               (state "exp_avg")
        v <- beta2 * v + (1 - beta2) * g**2          (state "exp_avg_sq")

    and t counts the parameter's steps from 1; amsgrad takes the largest v so far instead of v.

    params  tensors, as `model.parameters()` gives them
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

    lr = Hyper()
    beta1 = Hyper(below=1, complement=True, logarithm=True)
    beta2 = Hyper(below=1, complement=True, logarithm=True)
    weight_decay = Hyper(optional=True)
    buffers = ("exp_avg", "exp_avg_sq")
    counters = ("step",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        name = type(self).__name__
        at_least_zero(name, eps=eps)
        beta1, beta2 = _pair(name, betas)
        super().__init__(
            params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
            amsgrad=amsgrad, maximize=maximize,
        )  # fmt: skip
        if amsgrad:
            self.add_state("max_exp_avg_sq")

    @property
    def betas(self) -> tuple[Tensor, Tensor]:
        """How fast the two averages forget, beta1 and beta2; set both as a pair of numbers."""
        return self.beta1, self.beta2

    @betas.setter
    def betas(self, values: tuple[float, float]) -> None:
        self.beta1, self.beta2 = _pair(type(self).__name__, values)

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        p, g = self.decay(p, g, state)
        step = state.advance()
        m = state["exp_avg"] + state.hyper("1-beta1") * (g - state["exp_avg"])
        v = state.hyper("beta2") * state["exp_avg_sq"] + state.hyper("1-beta2") * (g * g)
        state["exp_avg"], state["exp_avg_sq"] = m, v
        if self.defaults["amsgrad"]:
            v = maximum(state["max_exp_avg_sq"], v)
            state["max_exp_avg_sq"] = v
        size = state.hyper("lr") / state.correction("beta1", step)
        spread = sqrt(v) / sqrt(state.correction("beta2", step)) + self.defaults["eps"]
        return p - size * (m / spread)

    def decay(self, p: Tensor, g: Tensor, state: ParameterState) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay, which here is part of the gradient."""
        if self.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        return p, g


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
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decay(self, p: Tensor, g: Tensor, state: ParameterState) -> tuple[Tensor, Tensor]:
        """Parameter and gradient after weight decay, which here shrinks the parameter itself."""
        if self.uses("weight_decay"):
            p = p * (1 - state.hyper("lr") * state.hyper("weight_decay"))
        return p, g


def _pair(name: str, betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ArgumentError(f"{name}: betas={betas!r}; expected a pair of numbers")
    return betas[0], betas[1]
