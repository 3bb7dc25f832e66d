"""The table of `tinyaccel devices`: what is here, what is missing, how to get it."""

from __future__ import annotations

from typing import NamedTuple

from tinyaccel.backend import backend_names, get_device, load_backend
from tinyaccel.cli.measure import measure, row
from tinyaccel.errors import TinyaccelError
from tinyaccel.extras import optional


class Finding(NamedTuple):
    """One known device: whether it is here, and either its names or what is missing."""

    name: str
    here: bool
    text: str


def survey() -> list[Finding]:
    """Look for every device that some installed backend announces; loads them all."""
    return [_find(name) for name in backend_names()]


def _find(name: str) -> Finding:
    try:
        present = load_backend(name).devices()
    except TinyaccelError as error:
        return Finding(name, False, str(error))
    except Exception as error:  # a broken plug-in mustn't hide the others
        return Finding(name, False, f"backend {name!r} fails: {type(error).__name__}: {error}")
    if not present:
        return Finding(name, False, "installed, but there is no such device on this machine")
    return Finding(name, True, ", ".join(present))


def print_devices(measured: bool = False) -> None:
    """Print the table on stdout; where that is no terminal, a line for each device.

    measured  whether to measure each device that is here, too
    """
    console = optional("rich.console", "tinyaccel devices").Console()
    if not console.is_terminal:
        console.width = 1000  # a text is never broken, so that it can be searched
    table = optional("rich.table", "tinyaccel devices").Table(box=None, pad_edge=False)
    escape = optional("rich.markup", "tinyaccel devices").escape
    speeds = ("memory", "products", "bandwidth", "one op") if measured else ()
    for heading in ("device", "here", *speeds, "what it is, or what it needs"):
        right = "right" if heading in speeds else "left"
        table.add_column(heading, no_wrap=heading[0] != "w", justify=right)
    for found in survey():
        cells = (_measured(found) if found.here else [""] * len(speeds)) if measured else []
        table.add_row(found.name, "yes" if found.here else "no", *cells, escape(found.text))
    console.print(table)
    console.print(escape(_auto()), highlight=False)


def _measured(found: Finding) -> list[str]:
    """How fast a device is; of several, the first."""
    return row(measure(found.text.split(", ")[0]))


def _auto() -> str:
    try:
        return f"auto is {get_device('auto')}"
    except Exception as error:  # one of the broken plug-ins above
        return f"auto fails: {type(error).__name__}: {error}"
