"""The tape: what was done to which tensors, and the walk back over it.

Nothing here knows what a gradient is made of. `walk` is given two functions, one that pulls a
gradient back through a node and one that adds two gradients, and decides only the order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from tinyaccel.contexts import setting
from tinyaccel.op import Attrs, Op

if TYPE_CHECKING:
    from tinyaccel.tensor import Tensor

G = TypeVar("G")
_next = count()


class Node:
    """One step on the tape.

    op, attrs  what was applied; `op` is None for a leaf, and for an alias, which only passes on
    inputs     the tensors it was applied to, as they were then
    parents    for each input the node that made it, or None if no gradient is wanted there
    out        what it takes to make the output tensor again (data, spec, device). The tensor
               itself would hold the node that holds it, and both would outlive their use
    leaf       for a leaf, a weak reference to the tensor whose `.grad` receives the gradient
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "leaf", "op", "order", "out", "parents")

    def __init__(
        self,
        op: Op | None = None,
        inputs: tuple[Tensor, ...] = (),
        parents: tuple[Node | None, ...] = (),
        attrs: Attrs | None = None,
        out: tuple[Any, ...] = (),
        leaf: Tensor | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.parents = parents
        self.attrs = attrs or {}
        self.out = out
        self.leaf = None if leaf is None else weakref.ref(leaf)
        self.order = next(_next)

    @property
    def is_leaf(self) -> bool:
        return not self.parents


def reachable(root: Node) -> list[Node]:
    """All nodes that `root` depends on, itself included, the latest first.

    A node is younger than its parents, so the order of creation is a topological order and
    nothing needs recursion, however long the chain.
    """
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.order, reverse=True)


def walk(
    root: Node,
    seed: G,
    pullback: Callable[[Node, G, list[bool]], Sequence[G | None]],
    add: Callable[[G, G], G],
    targets: Collection[Node] | None = None,
) -> dict[Node, G]:
    """Gradients of `root` with respect to `targets`, or to every leaf if there are none.

    `pullback(node, g, needs)` returns a gradient for each parent that `needs` one. The walk stops
    at the targets; a node from which no target can be reached is never pulled back through.
    """
    nodes = reachable(root)
    wanted = set(nodes)
    if targets is not None:
        wanted = set(targets)
        for node in reversed(nodes):
            if any(parent in wanted for parent in node.parents):
                wanted.add(node)
    grads: dict[Node, G] = {root: seed}
    result: dict[Node, G] = {}
    for node in nodes:
        if node not in grads:
            continue
        g = grads.pop(node)
        if node.is_leaf if targets is None else node in targets:
            result[node] = g
            continue
        needs = [parent is not None and parent in wanted for parent in node.parents]
        if not any(needs):
            continue
        for parent, need, part in zip(node.parents, needs, pullback(node, g, needs), strict=True):
            if need and parent is not None and part is not None:
                grads[parent] = add(grads[parent], part) if parent in grads else part
    return result


GRAD_MODE: ContextVar[bool] = ContextVar("grad_mode", default=True)


def no_grad() -> AbstractContextManager[None]:
    """Within the block nothing is recorded on the tape."""
    return setting(GRAD_MODE, False)


def enable_grad() -> AbstractContextManager[None]:
    """Within the block the tape records, even inside a `no_grad` block."""
    return setting(GRAD_MODE, True)
