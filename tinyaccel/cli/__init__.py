"""The command line: `tinyaccel train`, `tinyaccel devices`. Importing it loads no typer or rich."""

from tinyaccel.cli.main import main

__all__ = ["main"]
