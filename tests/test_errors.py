"""Tests of tinyaccel.errors."""

from __future__ import annotations

import inspect
import re

import pytest

from tinyaccel import errors

TREE = inspect.getdoc(errors) or ""
CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES)
def test_documented(error: type[Exception]) -> None:
    """The tree in the module's docstring names every exception, with its built-in base."""
    assert issubclass(error, errors.TinyaccelError)
    assert error.__doc__
    if error is not errors.TinyaccelError:
        (builtin,) = re.findall(rf"── {error.__name__} +\((\w+)\)", TREE)
        assert builtin in [base.__name__ for base in error.__mro__]


def test_builtin_bases() -> None:
    """What a newcomer would catch, catches ours: ValueError, TypeError, IndexError."""
    assert issubclass(errors.ShapeError, ValueError)
    assert issubclass(errors.AxisError, IndexError | ValueError)
    assert issubclass(errors.AxisError, errors.ShapeError)
    assert issubclass(errors.DTypeError, TypeError)
    assert issubclass(errors.IndexRangeError, IndexError)
