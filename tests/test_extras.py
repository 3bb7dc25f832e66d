"""Optional packages: told apart from packages that are here but broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tinyaccel.errors import PackageError
from tinyaccel.extras import optional


def test_what_is_here_is_imported() -> None:
    """The very module, also one inside a package."""
    import json.decoder

    assert optional("json.decoder", "a test") is json.decoder


def test_what_is_not_here() -> None:
    """One line: who wants it, what is missing, what to install."""
    with pytest.raises(PackageError) as caught:
        optional("no_such_package.inside", "a test", extra="cuda")
    assert str(caught.value) == (
        "a test: no_such_package is not installed; pip install 'tinyaccel[cuda]'"
    )


def test_a_package_that_is_here_but_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What such a package itself can't import is not blamed on the user's installation of it."""
    (tmp_path / "half_a_package.py").write_text("import something_it_needs")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="something_it_needs") as caught:
        optional("half_a_package", "a test")
    assert not isinstance(caught.value, PackageError)
    assert "half_a_package" not in sys.modules
