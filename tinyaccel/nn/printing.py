"""How a module prints: a tree, with shapes and parameter counts in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyaccel import dtypes
from tinyaccel.tensor import Tensor

if TYPE_CHECKING:
    from tinyaccel.nn.module import Module


def tree(module: Module) -> str:
    """A line per module (its settings, its own tensors, how many parameters), then the total."""
    rows: list[tuple[str, str, str]] = []
    _add(rows, module, "", "", "")
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {shapes:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        for name, shapes, count in rows
    ]
    if len(rows) > 1:
        total = sum(p.size for p in module.parameters())
        frozen = sum(p.size for p in module.parameters() if not p.requires_grad)
        note = f", {frozen:,} of them frozen" if frozen else ""
        lines.append(f"{total:,} parameters in all{note}")
    return "\n".join(lines)


def _add(
    rows: list[tuple[str, str, str]], module: Module, name: str, branch: str, below: str
) -> None:
    own = {**module._parameters, **module._buffers}
    shapes = ", ".join(f"{label} {_shape(t)}" for label, t in own.items())
    count = sum(p.size for p in module._parameters.values())
    label = f"{name}: " if name else ""
    title = f"{branch}{label}{type(module).__name__}({module.extra_repr()})"
    rows.append((title, shapes, f"{count:,}" if count else ""))
    children = list(module._modules.items())
    for i, (child_name, child) in enumerate(children):
        last = i == len(children) - 1
        stem, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        _add(rows, child, child_name, below + stem, below + rest)


def _shape(value: Tensor) -> str:
    dtype = "" if value.dtype is dtypes.DEFAULT_FLOAT else f" {value.dtype}"
    return f"{value.shape}{dtype}"
