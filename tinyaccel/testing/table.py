"""The table of ops: what computes each, what it is held to, and the worst error seen.

`python -m tinyaccel.testing.table [device ...]` prints it as Markdown, for "cpu" and "xla:cpu".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tinyaccel.backend import get_device
from tinyaccel.errors import BackendError, DeviceError
from tinyaccel.op import OPS, Op
from tinyaccel.testing.check import Report, check_op, kernel_of
from tinyaccel.testing.strategies import resolve_reference


def budget_of(op: Op) -> str:
    """An op's budget in words."""
    kind, units = op.budget.kind, op.budget.units
    return {
        "exact": "exact",
        "elementwise": f"{units:g} eps (\\|y\\| + sum \\|dy/dx x\\|)",
        "accumulate": f"{units:g} sqrt(k) eps sum \\|terms\\|",
        "steps": "its steps",
    }[kind]


def row(op: Op, devices: Sequence[str], examples: int, seed: int) -> list[str]:
    """The cells of one op; an error above 1 is out of budget, and is marked."""
    kernels, worst = [], []
    for device in devices:
        report = Report()
        for order in (0, 1, 2):
            part = check_op(op.name, device, order=order, examples=examples, seed=seed)
            report.results += part.results
        kernels.append(kernel_of(op, device))
        mark = "" if report.ok else " **FAILED**"
        orders = []
        for order in (0, 1, 2):
            found = [r.worst for r in report.results if r.order == order]
            orders.append(f"{max(found):.2f}" if found else "-")
        worst.append(" ".join(orders) + mark)
    reference = resolve_reference(op).__module__.rpartition(".")[2]
    return [f"`{op.name}`", op.kind, *kernels, f"`{reference}`", budget_of(op), *worst]


def table(devices: Sequence[str], *, examples: int = 6, seed: int = 0) -> str:
    """All ops as Markdown: a line each, errors in units of the budget for orders 0, 1 and 2.

    >>> table(["cpu"], examples=1).count("exact") > 10
    True
    """
    head = ["op", "kind", *[f"kernel on {d}" for d in devices], "reference", "budget"]
    head += [f"worst error on {d} (orders 0, 1, 2)" for d in devices]
    rows = [head, ["---"] * len(head)]
    rows += [row(op, devices, examples, seed) for op in OPS.values() if op.kind != "custom"]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def main(arguments: Sequence[str]) -> int:
    """Print the table for the devices named, or for those of the two that are here."""
    devices = []
    for name in arguments or ("cpu", "xla:cpu"):
        try:
            devices.append(get_device(name).name)
        except (BackendError, DeviceError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    if not devices:
        return 1
    print(table(devices))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
