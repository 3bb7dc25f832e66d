"""Trees: tuples, named tuples, lists and dicts, and what hangs in them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any


def flatten(tree: Any, leaves: list[Any]) -> Hashable:
    """Append the leaves of `tree` to `leaves`; returns its structure, which rebuilds it."""
    if isinstance(tree, tuple | list):
        return type(tree), tuple(flatten(item, leaves) for item in tree)
    if isinstance(tree, dict):
        return dict, tuple((name, flatten(item, leaves)) for name, item in tree.items())
    leaves.append(tree)
    return None


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves, in order."""
    return _build(structure, iter(leaves))


def _build(node: Any, leaves: Iterator[Any]) -> Any:
    # No closure over itself: that would be a cycle, and keep the leaves until the next collection.
    if node is None:
        return next(leaves)
    kind, items = node
    if kind is dict:
        return {name: _build(item, leaves) for name, item in items}
    values = [_build(item, leaves) for item in items]
    return kind(*values) if hasattr(kind, "_fields") else kind(values)
