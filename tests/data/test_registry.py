"""Data by name or path, as the command line is given it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyaccel import data
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train import RECIPES


def test_every_data_set_has_a_recipe() -> None:
    """`tinyaccel train --data X` has defaults for every X."""
    assert set(data.DATASETS) <= set(RECIPES)


def test_an_unknown_name_lists_the_known() -> None:
    """One line, with the name that is near, and all that there are."""
    with pytest.raises(ArgumentError) as caught:
        data.load("minst")
    assert str(caught.value) == (
        "there is no data set, folder or file 'minst', did you mean 'mnist'?; expected one of "
        "digits, mnist, fashion_mnist, cifar10, a folder of pictures, a .csv or an .npz file"
    )


def test_a_path_that_nearly_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and files of that place are suggested as data sets are, with their path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "flowers.csv").touch()
    (tmp_path / "fotos.txt~").touch()
    with pytest.raises(ArgumentError, match=r"file 'fotos', did you mean 'photos'\?; expected one"):
        data.load("fotos")
    with pytest.raises(DataError, match=r"file 'flower.csv', did you mean 'flowers.csv'\?; expec"):
        data.load("flower.csv")
    with pytest.raises(DataError, match=rf"did you mean '{tmp_path}/photos'\?; expected a folder"):
        data.load(tmp_path / "foto")


def test_paths(tmp_path: Path) -> None:
    """A table, arrays and a folder of pictures, by what the path is; with what is for them."""
    (tmp_path / "t.csv").write_text("kind,size,note\na,1,x\nb,2,y\na,3,x\nb,4,z\n")
    options: dict[str, Any] = {"label": "kind", "ignore": ["note"]}
    splits = data.load(tmp_path / "t.csv", **options, validation_split=0.5, seed=1)
    assert (len(splits.train), splits.validation and len(splits.validation)) == (2, 2)
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=[0, 1])
    assert data.load(str(tmp_path / "a.npz")).train.shape == (2,)
    image = pytest.importorskip("PIL.Image", reason="pictures are decoded by Pillow")
    for name in ("a", "b"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for suffix in ("png", "bmp"):
            image.new("L", (3, 2)).save(tmp_path / "pets" / name / f"0.{suffix}")
    splits = data.load(
        tmp_path / "pets", image_size=(4, 5), color="rgb", skip_bad=True, validation_split=0.5
    )
    assert splits.train.shape == (3, 4, 5)
    assert splits.validation is not None


def test_a_name_comes_before_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`digits` is the data set, whatever folder is called so here; and it can be split."""
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    splits = data.load("digits", validation_split=0.1)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation)) == (1131, 126)
    with pytest.raises(DataError, match=r"digits has no class folders; exp"):
        data.load("./digits/../digits")


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "mnist": ({"image_size": 32}, r"--image-size is for folders of pictures, but the data is "
                                  r"'mnist'; leave it out, or name your own with --data"),
    "digits": ({"label": "x"}, r"--label is for tables, but the data is 'digits'; .*"),
    "a.csv": ({"color": "gray"}, r"--color is for folders of pictures, but .*"),
    "a.npz": ({"skip_bad": True}, r"--skip-bad is for folders of pictures, but .*"),
    "b.npz": ({"label": 1}, r"--label is for tables, but .*"),
    "cifar10": ({"ignore": ["a"]}, r"--ignore is for tables, but .*"),
    "c.csv": ({"folder": "d"}, r"data '.*c.csv' is a path, and folder 'd' is given too; .*"),
    "e.jpg": ({}, r"data '.*e.jpg' is a .jpg file; expected a folder of pictures, or one of .cs.*"),
    "pets/": ({}, r"there is no folder or file '.*pets/'; expected a folder of pictures, .*"),
}  # fmt: skip


@pytest.mark.parametrize("given", WRONG)
def test_options_that_have_no_use(given: str, tmp_path: Path) -> None:
    """An option that the data can't follow, or a path that is nothing, is told, not ignored."""
    options, pattern = WRONG[given]
    if "." in given:
        (tmp_path / given).touch()
    name = given if given in data.DATASETS else f"{tmp_path}/{given}"
    with pytest.raises((ArgumentError, DataError)) as caught:
        data.load(name, **options)  # type: ignore[arg-type]  # whatever is asked for
    assert re.fullmatch(pattern, str(caught.value)), caught.value
