"""Optional packages: imported when they are needed, and missed in one line."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tinyaccel.errors import PackageError

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where the package is called otherwise on PyPI


def optional(module: str, what_for: str, extra: str = "train") -> ModuleType:
    """The module called `module`, or `PackageError` that says which extra brings it.

    >>> optional("nowhere", "digits")
    Traceback (most recent call last):
    tinyaccel.errors.PackageError: digits: nowhere is not installed; pip install 'tinyaccel[train]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != package:
            raise  # the package is here, and what is missing is its own affair
        raise PackageError(
            f"{what_for}: {_DISTRIBUTIONS.get(package, package)} is not installed; "
            f"pip install 'tinyaccel[{extra}]'"
        ) from error
