"""Data by name or path, as the command line is given it."""

from __future__ import annotations

import re
from pathlib import Path

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
        "data set 'minst' is unknown, did you mean 'mnist'?; expected one of digits, mnist, "
        "fashion_mnist, cifar10, a folder of pictures, a .csv or an .npz file"
    )


def test_paths(tmp_path: Path) -> None:
    """A table, arrays and a folder of pictures, by what the path is; with what is for them."""
    (tmp_path / "t.csv").write_text("kind,size\na,1\nb,2\na,3\nb,4\n")
    splits = data.load(tmp_path / "t.csv", label="kind", validation_split=0.5, seed=1)
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
    with pytest.raises(DataError, match=r"image_folder: .*digits has no class folders; exp"):
        data.load("./digits/../digits")


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "mnist": ({"image_size": 32}, r"data 'mnist' has no use for image_size=32, which is for "
                                  r"pictures and tables of one's own; leave it out"),
    "digits": ({"label": "x"}, r"data 'digits' has no use for label='x', .*"),
    "a.csv": ({"color": "gray"}, r".* has no use for color='gray', which is for folders of .*"),
    "a.npz": ({"skip_bad": True}, r".* has no use for skip_bad=True, which is for folders of .*"),
    "b.npz": ({"label": 1}, r".* has no use for label=1, which is for tables; leave it out"),
    "c.csv": ({"folder": "d"}, r"data '.*c.csv' is a path, and folder 'd' is given too; .*"),
    "e.jpg": ({}, r"data '.*e.jpg' is a .jpg file; expected a folder of pictures, or one of .cs.*"),
    "pets/": ({}, r"data '.*pets/' doesn't exist; expected a folder of pictures, a .csv or an .*"),
}  # fmt: skip


@pytest.mark.parametrize("given", WRONG)
def test_options_that_have_no_use(given: str, tmp_path: Path) -> None:
    """An option that the data can't follow, or a path that is nothing, is told, not ignored."""
    options, pattern = WRONG[given]
    if given == "e.jpg":
        (tmp_path / given).touch()
    name = given if given in data.DATASETS else f"{tmp_path}/{given}"
    with pytest.raises((ArgumentError, DataError)) as caught:
        data.load(name, **options)  # type: ignore[arg-type]  # whatever is asked for
    assert re.fullmatch(pattern, str(caught.value)), caught.value
