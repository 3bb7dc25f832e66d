"""Optimizers that scale each number's step by its own past gradients."""

from __future__ import annotations

from collections.abc import Mapping

from tinyaccel.ops.elementwise import sqrt
from tinyaccel.optim.group import ParameterGroup
from tinyaccel.optim.hyper import Hyper, at_least_zero
from tinyaccel.optim.optimizer import Optimizer, ParameterState, Params
from tinyaccel.tensor import Tensor


class Adagrad(Optimizer):
    """p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(sum) + eps), where

        g   <- g + weight_decay * p
        sum <- sum + g**2                 (from initial_accumulator_value on)

    and t counts the parameter's steps from 1.

    params  tensors, as `model.parameters()` gives them, or groups (see `Optimizer`)
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
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
        )  # fmt: skip

    def check_options(self, options: Mapping[str, float]) -> None:
        names = ("lr_decay", "initial_accumulator_value", "eps")
        at_least_zero("Adagrad", **{name: options[name] for name in names})

    def make_state(self, group: ParameterGroup) -> None:
        super().make_state(group)
        group.add_state("sum", group["initial_accumulator_value"])

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if state.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        step = state.advance()
        lr = state.hyper("lr")
        if state.option("lr_decay"):
            lr = lr / (1 + (step - 1) * state.option("lr_decay"))
        total = state["sum"] + g * g
        state["sum"] = total
        return p - lr * (g / (sqrt(total) + state.option("eps")))


class RMSprop(Optimizer):
    """p <- p - lr * b, where

        g          <- g + weight_decay * p
        square_avg <- alpha * square_avg + (1 - alpha) * g**2
        grad_avg   <- alpha * grad_avg + (1 - alpha) * g            (if centered)
        b          <- momentum * b + g / (sqrt(square_avg - grad_avg**2) + eps)

    grad_avg is 0 unless centered.

    params  tensors, as `model.parameters()` gives them, or groups (see `Optimizer`)
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
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip

    def check_options(self, options: Mapping[str, float]) -> None:
        at_least_zero("RMSprop", eps=options["eps"])

    def make_state(self, group: ParameterGroup) -> None:
        super().make_state(group)
        if group["centered"]:
            group.add_state("grad_avg")

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if state.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        alpha, rest = state.hyper("alpha"), state.hyper("1-alpha")
        square = alpha * state["square_avg"] + rest * (g * g)
        state["square_avg"] = square
        if state.option("centered"):
            mean = state["grad_avg"] + rest * (g - state["grad_avg"])
            state["grad_avg"] = mean
            square = square - mean * mean
        scaled = g / (sqrt(square) + state.option("eps"))
        if state.uses("momentum"):
            scaled = state.hyper("momentum") * state["momentum_buffer"] + scaled
            state["momentum_buffer"] = scaled
        return p - state.hyper("lr") * scaled


class Adadelta(Optimizer):
    """p <- p - lr * delta, where

        g          <- g + weight_decay * p
        square_avg <- rho * square_avg + (1 - rho) * g**2
        delta       = g * sqrt(acc_delta + eps) / sqrt(square_avg + eps)
        acc_delta  <- rho * acc_delta + (1 - rho) * delta**2

    so that a step has the parameter's own unit, and lr is 1 by default.

    params  tensors, as `model.parameters()` gives them, or groups (see `Optimizer`)
    lr, rho, weight_decay  0 or more, rho below 1; may be changed between steps, jitted or not
    eps       0 or more, fixed; the first steps have about its root as their length
    maximize  climb instead of descend

    Raises `ArgumentError` for an impossible value, and as `Optimizer` does.
    M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = Adadelta([p], rho=0.0, eps=0.0625)
    >>> (p * 4).sum().backward()
    >>> opt.step()
    >>> p.numpy().round(3)
    array([0.75, 1.75], dtype=float32)
    """

    __slots__ = ()

    lr = Hyper()
    rho = Hyper(below=1, complement=True)
    weight_decay = Hyper(optional=True)
    buffers = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    def check_options(self, options: Mapping[str, float]) -> None:
        at_least_zero("Adadelta", eps=options["eps"])

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        if state.uses("weight_decay"):
            g = g + state.hyper("weight_decay") * p
        rho, rest, eps = state.hyper("rho"), state.hyper("1-rho"), state.option("eps")
        square = rho * state["square_avg"] + rest * (g * g)
        delta = g * (sqrt(state["acc_delta"] + eps) / sqrt(square + eps))
        state["square_avg"] = square
        state["acc_delta"] = rho * state["acc_delta"] + rest * (delta * delta)
        return p - state.hyper("lr") * delta
