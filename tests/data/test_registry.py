"""Data sets by name."""

from __future__ import annotations

import pytest

from tinyaccel import data
from tinyaccel.errors import ArgumentError
from tinyaccel.train import RECIPES


def test_an_unknown_name_lists_the_known() -> None:
    """One line, with every name that there is."""
    with pytest.raises(ArgumentError) as caught:
        data.load("minst")
    text = "data set 'minst' is unknown; expected one of digits, mnist, cifar10"
    assert str(caught.value) == text


def test_every_data_set_has_a_recipe() -> None:
    """`tinyaccel train --data X` has defaults for every X."""
    assert set(data.DATASETS) == set(RECIPES)
