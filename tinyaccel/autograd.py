"""Gradients of functions: grad, value_and_grad, vjp, jvp, hvp, jacobian.

Each takes a function of tensors and returns tensors; they nest, for derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, overload

from tinyaccel.contexts import setting
from tinyaccel.errors import GradientError
from tinyaccel.ops.movement import reshape, stack
from tinyaccel.tape import GRAD_MODE, Node, reachable
from tinyaccel.tensor import Tensor, TensorLike, full, gradients, tensor

ArgNums: TypeAlias = int | Sequence[int]
Grads: TypeAlias = Tensor | tuple[Tensor, ...]


def _zeros(like: Tensor) -> Tensor:
    return full(like.shape, 0, dtype=like.dtype, device=like.device)


def _aliases(name: str, args: Sequence[TensorLike], argnums: Sequence[int]) -> list[Tensor]:
    """The arguments as tensors, those of `argnums` as fresh places to differentiate at."""
    device = next((a.device for a in args if isinstance(a, Tensor)), None)
    inputs = [a if isinstance(a, Tensor) else tensor(a, device=device) for a in args]
    for i in argnums:
        if not -len(inputs) <= i < len(inputs):
            raise GradientError(
                f"{name}: argnums {i}, but the function got {len(inputs)} arguments"
            )
        if not inputs[i].dtype.is_float:
            raise GradientError(f"{name}: argument {i} is {inputs[i].spec}; only floats have one")
        inputs[i] = inputs[i].alias()
    return inputs


def _one_tensor(name: str, out: object) -> Tensor:
    if not isinstance(out, Tensor):
        raise GradientError(
            f"{name}: the function returned {type(out).__name__}; expected one tensor"
        )
    return out


def _pull(out: Tensor, g: Tensor, sources: Sequence[Tensor]) -> list[Tensor]:
    """The gradients at `sources`, differentiable themselves only if something outside asks for it.

    If all that `out` depends on are the sources, and they are leaves, then nobody can ask: the
    sources are ours. Recording would only make the caller's tensors hold on to each other.
    """
    ours = {s._node for s in sources}

    def outer(node: Node) -> bool:
        return node not in ours if node.is_leaf else node in ours

    depends = out._node is not None and any(outer(node) for node in reachable(out._node))
    with setting(GRAD_MODE, GRAD_MODE.get() and (depends or g.requires_grad)):
        found = gradients(out, g, sources)
    return [_zeros(s) if f is None else f for f, s in zip(found, sources, strict=True)]


@overload
def value_and_grad(
    fn: Callable[..., Tensor], argnums: int = 0
) -> Callable[..., tuple[Tensor, Tensor]]: ...
@overload
def value_and_grad(
    fn: Callable[..., Tensor], argnums: Sequence[int]
) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]: ...
def value_and_grad(
    fn: Callable[..., Tensor], argnums: ArgNums = 0
) -> Callable[..., tuple[Tensor, Grads]]:
    """A function that returns fn's value and its gradient with respect to some arguments.

    fn       returns a tensor of one element
    argnums  which arguments: a number for one gradient, several for a tuple of them

    Raises `GradientError` if fn doesn't return one element, or an argument is no float.

    >>> import tinyaccel as ta
    >>> value_and_grad(lambda x: (x * x).sum())(ta.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """

    def wrapped(*args: TensorLike) -> tuple[Tensor, Grads]:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with setting(GRAD_MODE, True):
            inputs = _aliases("grad", args, numbers)
            out = fn(*inputs)
        if not isinstance(out, Tensor) or out.size != 1:
            got = out.spec if isinstance(out, Tensor) else type(out).__name__
            raise GradientError(
                f"grad: the function returned {got}; expected a tensor of 1 element"
            )
        one = full(out.shape, 1, dtype=out.dtype, device=out.device)
        sources = [inputs[i] for i in numbers]
        grads = tuple(_pull(out, one, sources))
        return _cut(out, sources), grads[0] if isinstance(argnums, int) else grads

    return wrapped


def _cut(out: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """`out` without its tape where nobody wants one, or it leads only to our own sources."""
    if out._node is None:
        return out
    if not GRAD_MODE.get():
        return out.detach()
    ours = {s._node for s in sources}
    outside = any(
        node not in ours if node.is_leaf else node in ours for node in reachable(out._node)
    )
    return out if outside else out.detach()


@overload
def grad(fn: Callable[..., Tensor], argnums: int = 0) -> Callable[..., Tensor]: ...
@overload
def grad(
    fn: Callable[..., Tensor], argnums: Sequence[int]
) -> Callable[..., tuple[Tensor, ...]]: ...
def grad(fn: Callable[..., Tensor], argnums: ArgNums = 0) -> Callable[..., Grads]:
    """A function that returns the gradient of fn, a scalar function, at its arguments.

    >>> import tinyaccel as ta
    >>> grad(grad(lambda x: x**3))(ta.tensor(2.0))
    tensor(12.)
    """
    both = value_and_grad(fn, argnums)

    def wrapped(*args: TensorLike) -> Grads:
        return both(*args)[1]

    return wrapped


def vjp(
    fn: Callable[..., Tensor], *args: TensorLike
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """fn's value at `args`, and the function v -> v^T J, a gradient for each argument.

    >>> import tinyaccel as ta
    >>> y, pull = vjp(lambda x: x * x, ta.tensor([1.0, 3.0]))
    >>> pull(ta.tensor([1.0, 10.0]))
    (tensor([ 2., 60.]),)
    """
    with setting(GRAD_MODE, True):
        inputs = _aliases("vjp", args, range(len(args)))
        out = _one_tensor("vjp", fn(*inputs))

    def pull(v: Tensor) -> tuple[Tensor, ...]:
        if v.spec != out.spec:
            raise GradientError(f"vjp: {v.spec} pulled back through {out.spec}; must be equal")
        return tuple(_pull(out, v, inputs))

    return _cut(out, inputs), pull


def jvp(
    fn: Callable[..., Tensor], primals: Sequence[TensorLike], tangents: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """fn's value at `primals`, and J t, its derivative in the direction `tangents`.

    v^T J is linear in v, so its own gradient with respect to v, in the direction t, is J t.
    J. Townsend, "A new trick for calculating Jacobian vector products", 2017.

    >>> import tinyaccel as ta
    >>> jvp(lambda x: x * x, [ta.tensor([1.0, 3.0])], [ta.tensor([1.0, 1.0])])
    (tensor([1., 9.]), tensor([2., 6.]))
    """
    if len(primals) != len(tangents):
        raise GradientError(f"jvp: {len(primals)} primals but {len(tangents)} tangents; pair them")
    with setting(GRAD_MODE, True):
        inputs = _aliases("jvp", primals, range(len(primals)))
        for x, t in zip(inputs, tangents, strict=True):
            if x.spec != t.spec:
                raise GradientError(
                    f"jvp: tangent {t.spec} for an input of {x.spec}; must be equal"
                )
        out = _one_tensor("jvp", fn(*inputs))
        probe = _zeros(out).alias()
        pulled = gradients(out, probe, inputs)
    tangent = _zeros(out)
    for p, t in zip(pulled, tangents, strict=True):
        if p is not None:
            tangent = tangent + _pull(p, t, [probe])[0]
    return _cut(out, inputs), _cut(tangent, [*inputs, probe])


def hvp(
    fn: Callable[..., Tensor], primals: Sequence[TensorLike], vector: Sequence[Tensor]
) -> Grads:
    """H v: the Hessian of a scalar function times a vector, without forming the Hessian.

    >>> import tinyaccel as ta
    >>> hvp(lambda x: (x**3).sum(), [ta.tensor([1.0, 2.0])], [ta.tensor([1.0, 0.0])])
    tensor([6., 0.])
    """
    if len(primals) != len(vector):
        raise GradientError(f"hvp: {len(primals)} primals but {len(vector)} vectors; pair them")
    numbers = tuple(range(len(primals)))

    def slope(*args: Tensor) -> Tensor:
        grads = grad(fn, numbers)(*args)
        total = tensor(0.0, dtype=args[0].dtype, device=args[0].device)
        for g, v in zip(grads, vector, strict=True):
            total = total + (g * v).sum()
        return total

    result = grad(slope, numbers)(*primals)
    assert isinstance(result, tuple)
    return result[0] if len(result) == 1 else result


def jacobian(fn: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """All derivatives dy_i / dx_j, as a tensor of shape (*y.shape, *x.shape), row by row.

    >>> import tinyaccel as ta
    >>> jacobian(lambda x: x * x, ta.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    y, pull = vjp(fn, x)
    rows = []
    for i in range(y.size):
        unit = [0.0] * y.size
        unit[i] = 1.0
        seed = tensor(unit, dtype=y.dtype, device=y.device)
        rows.append(pull(reshape(seed, shape=y.shape))[0])
    if not rows:
        return full((*y.shape, *x.shape), 0, dtype=x.dtype, device=x.device)
    return reshape(stack(rows), shape=(*y.shape, *x.shape))
