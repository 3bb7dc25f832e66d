"""Folders of pictures: which files count, what they are called, and what is refused."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tinyaccel import data
from tinyaccel.data import pictures
from tinyaccel.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image", reason="pictures are decoded by Pillow")


def put(path: Path, value: int | Sequence[int] = 0, size: tuple[int, int] = (4, 4)) -> Path:
    """A picture of one gray, or of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.empty((*size, *np.shape(value)), np.uint8)
    pixels[...] = value
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes: three pictures of each to train on, one of each to validate and to test on."""
    for i, name in enumerate(("cat", "dog")):
        for k in range(3):
            put(tmp_path / "train" / name / f"{k}.png", 100 * i + k)
        put(tmp_path / "val" / name / "v.png", 100 * i + 10)
        put(tmp_path / "test" / name / "t.png", 100 * i + 20)
    return tmp_path


def test_parts_classes_and_labels(root: Path) -> None:
    """Each part is found; classes and files are sorted; labels and paths belong to the pixels."""
    splits = data.image_folder(root)
    train, test = splits
    assert train.name == f"{root.name} (train)"
    assert train.classes == ("cat", "dog")
    assert train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.y.dtype == np.int32
    assert train.shape == (1, 4, 4)
    assert train.pixels(slice(None))[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert [path.name for path in train.paths] == ["0.png", "1.png", "2.png"] * 2
    assert test is not None
    assert splits.validation is not None
    assert test.pixels([1, 0])[:, 0, 0, 0].tolist() == [120, 20]
    assert splits.validation.pixels([0])[0, 0, 0, 0] == 10
    assert test.classes == splits.validation.classes == train.classes


def test_normalised_by_the_training_part(root: Path) -> None:
    """mean and std are those of the training pixels, in every part."""
    train, test = data.image_folder(root)
    values = np.array([0, 1, 2, 100, 101, 102]) / 255
    np.testing.assert_allclose(train.mean, [values.mean()], rtol=1e-12)
    np.testing.assert_allclose(train.std, [values.std()], rtol=1e-12)
    assert test is not None
    x, y = test.batch([0])
    np.testing.assert_allclose(x, (20 / 255 - values.mean()) / values.std(), rtol=1e-5)
    assert y.tolist() == [0]


def test_channels_have_their_own_statistics(tmp_path: Path) -> None:
    """A channel that never changes is divided by 1, others by their own deviation."""
    put(tmp_path / "a" / "1.png", (10, 0, 255))
    put(tmp_path / "b" / "1.png", (30, 0, 155))
    train, test = data.image_folder(tmp_path)
    np.testing.assert_allclose(np.array(train.mean) * 255, [20, 0, 205])
    np.testing.assert_allclose(np.array(train.std) * 255, [10, 255, 50], rtol=1e-9)
    assert (test, train.name) == (None, tmp_path.name)  # not "(train)": it is all there is


def test_one_folder_is_split(tmp_path: Path) -> None:
    """Class folders alone are for training; a fraction of each class is held out by the seed."""
    for i, name in enumerate(("a", "b")):
        for k in range(10):
            put(tmp_path / name / f"{k}.png", 100 * i + k, (2, 2))
    splits = data.image_folder(tmp_path, validation_split=0.2, seed=3)
    assert splits.validation is not None
    assert np.bincount(splits.train.y).tolist() == [8, 8]
    assert np.bincount(splits.validation.y).tolist() == [2, 2]
    assert isinstance(splits.validation, data.ImageDataset)
    seen = {int(part.pixels([i])[0, 0, 0, 0]): part.paths[i]
            for part in (splits.train, splits.validation) for i in range(len(part))}  # fmt: skip
    assert len(seen) == 20
    for value, path in seen.items():
        assert path == tmp_path / "ab"[value // 100] / f"{value % 100}.png"


def test_more_than_memory_is_decoded_when_asked_for(root: Path) -> None:
    """Past the limit nothing is kept; batches, subsets and statistics are the same."""
    kept, lazy = (data.image_folder(root, memory_limit=limit) for limit in (10 * 16, 10 * 16 - 1))
    assert isinstance(kept.train, data.ImageDataset)
    assert kept.train.x is not None
    assert lazy.train.x is None
    assert (kept.train.mean, kept.train.std) == (lazy.train.mean, lazy.train.std)
    for a, b in ((kept, lazy), (kept.train.split(0.5), lazy.train.split(0.5))):
        for one, other in zip(a, b, strict=True):
            assert one is not None
            assert other is not None
            for x, y in zip(one.batch(slice(None)), other.batch(slice(None)), strict=True):
                np.testing.assert_array_equal(x, y)
    lazy.train.paths[1].unlink()
    with pytest.raises(DataError, match=r"train/cat/1.png can't be read: No such file"):
        lazy.train.pixels([1])


def test_what_lies_about(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hidden files are ignored; other files are told of; folders in a class belong to it."""
    cat = root / "train" / "cat"
    for name in (".DS_Store", "Thumbs.db", "._0.png", ".hidden/x.png", "__MACOSX/x.png"):
        (cat / name).parent.mkdir(exist_ok=True)
        (cat / name).write_bytes(b"?")
    (cat / "notes.txt").touch()
    (root / "labels.csv").touch()
    (root / "train" / ".cache").mkdir()
    (root / "extra").mkdir()
    put(cat / "more" / "9.PNG", 50)
    (cat / "link").symlink_to(cat)  # a circle
    album = root.parent / f"{root.name}-album"
    put(album / "x.png", 60)
    (cat / "other").symlink_to(album)
    (cat / "z.png").symlink_to(root / "test" / "cat" / "t.png")
    train, _ = data.image_folder(root)
    assert train.classes == ("cat", "dog")
    names = [path.name for path in train.paths if path.is_relative_to(cat)]
    assert names == ["0.png", "1.png", "2.png", "9.PNG", "x.png", "z.png"]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"not used, since it is beside train: {root / 'extra'}",
        f"left out 1 file, no picture by name: {cat / 'notes.txt'}",
    ]
    data.image_folder(root, progress="quiet")
    data.load(root, notes=False)
    assert capsys.readouterr().err == ""


def test_unicode_names_match_in_either_form(tmp_path: Path) -> None:
    """A class whose name a Mac decomposes is the same class."""
    for part, form in (("train", "NFC"), ("test", "NFD")):
        for name in ("été", "狗"):
            put(tmp_path / part / unicodedata.normalize(form, name) / "ü.png")
    train, test = data.image_folder(tmp_path)
    assert train.classes == ("été", "狗")
    assert test is not None
    assert test.y.tolist() == [0, 1]


def test_a_part_may_lack_a_class_but_have_no_other(root: Path) -> None:
    """Labels stay those of the training part; a class that it doesn't have is refused."""
    (root / "test" / "cat" / "t.png").rename(root / "test" / "dog" / "t2.png")
    _, test = data.image_folder(root)
    assert test is not None
    assert test.y.tolist() == [1, 1]
    put(root / "test" / "bird" / "t.png")
    with pytest.raises(DataError, match=r"test has class 'bird', which .*train doesn't have; exp"):
        data.image_folder(root)


def test_a_test_part_without_classes_is_left_out(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures to predict, without labels, don't hinder training; a line says so."""
    (root / "test" / "cat" / "t.png").rename(root / "test" / "t.png")
    (root / "test" / "dog" / "t.png").unlink()
    assert data.image_folder(root).test is None
    said = capsys.readouterr().err
    assert said == f"{root / 'test'} isn't used: it has no class folders with pictures\n"


@pytest.mark.parametrize("keep", [True, False])
def test_bad_pictures(root: Path, capsys: pytest.CaptureFixture[str], keep: bool) -> None:
    """They are named; left out, labels and pixels still belong together."""
    limit = 1 << 20 if keep else 0
    first, second = root / "train" / "cat" / "0.png", root / "train" / "dog" / "1.png"
    first.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.image_folder(root, memory_limit=limit)
    assert str(caught.value) == (
        f"{root}: 1 bad picture: {first} is empty (0 bytes); copy it again, or delete it; "
        "try: --skip-bad"
    )
    second.write_bytes(second.read_bytes()[:45])
    with pytest.raises(
        DataError, match=rf"2 bad pictures: .*0 bytes.* \(bad, too: {second}\); try"
    ):
        data.image_folder(root, memory_limit=limit)
    train, _ = data.image_folder(root, skip_bad=True, memory_limit=limit)
    assert capsys.readouterr().err == f"left out 2 bad pictures: {first}, {second}\n"
    assert train.skipped == (first, second)
    assert train.y.tolist() == [0, 0, 1, 1]
    assert train.pixels([0, 1, 2, 3])[:, 0, 0, 0].tolist() == [1, 2, 100, 102]
    np.testing.assert_allclose(np.array(train.mean) * 255, [np.mean([1, 2, 100, 102])])
    for path in (root / "train" / "cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"has no pictures that can be read of class 'cat'; repl"):
        data.image_folder(root, skip_bad=True, memory_limit=limit)


def test_all_that_is_wrong_is_said_at_once(root: Path) -> None:
    """Sizes and bad files of all parts in one line, which ends with the options to copy."""
    put(root / "train" / "cat" / "5.png", 7, (100, 80))
    put(root / "val" / "cat" / "c.png", (1, 2, 3))
    bad = root / "test" / "dog" / "b.png"
    bad.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.image_folder(root)
    assert str(caught.value) == (
        f"{root}: pictures of 2 sizes (height x width): 11 of 4 x 4, 1 of 100 x 80; 1 bad picture: "
        f"{bad} is empty (0 bytes); copy it again, or delete it; try: --image-size 32 --skip-bad"
    )
    with pytest.raises(DataError, match=r"80; try: --image-size 32$"):
        data.image_folder(root, skip_bad=True)
    assert data.image_folder(root, image_size=3, skip_bad=True).train.shape == (3, 3, 3)


@pytest.mark.parametrize("first", ["gray", "rgb"])
def test_gray_and_rgb_become_rgb(
    root: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    """Whichever comes first, in whichever part; it is said; another choice can be made."""
    if first == "gray":
        colored = put(root / "test" / "dog" / "t.png", (1, 2, 3))
    else:
        colored = put(root / "train" / "cat" / "0.png", (1, 2, 3))
    train, test = data.image_folder(root)
    assert capsys.readouterr().err == (
        "1 picture in colour, 9 gray: all are read as rgb (or give --color gray)\n"
    )
    assert test is not None
    pixels = {path: part.pixels([i])[0] for part in (train, test)
              for i, path in enumerate(part.paths)}  # fmt: skip
    assert pixels[colored][:, 0, 0].tolist() == [1, 2, 3]
    assert (pixels[root / "train" / "cat" / "1.png"] == 1).all()
    assert (pixels[root / "test" / "cat" / "t.png"] == 20).all()
    assert data.image_folder(root, image_size=(6, 5), color="gray").train.shape == (1, 6, 5)
    assert data.image_folder(root, color="rgb").train.shape == (3, 4, 4)
    assert (
        capsys.readouterr().err
        == "pictures of 6 x 5 pixels show little; --image-size 32 or 64 is usual\n"
    )


def test_a_folder_too_high_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class that has no pictures but in several folders is one; a line asks whether it should."""
    for name in ("photos/cats/1.png", "photos/ships/1.png", "new/1.png", "new/more/2.png"):
        put(tmp_path / name)
    put(tmp_path / "deep" / "images" / "1.png")
    assert data.image_folder(tmp_path).train.classes == ("deep", "new", "photos")
    photos = tmp_path / "photos"
    assert capsys.readouterr().err == (
        f"{photos} has no pictures of its own, but folders of them (cats, ships): all are one "
        "class, 'photos'; if these folders are the classes, name the one that has them: --data "
        f"{photos}\n"
    )


def _only(name: str) -> Callable[[Path], object]:
    """Spoil: one class is left, in a folder of its own."""

    def spoil(root: Path) -> None:
        for path in list(root.iterdir()):
            path.rename(root.parent / f"{root.name}-{path.name}")
        (root.parent / f"{root.name}-train").rename(root / name)

    return spoil


def _empty_class(root: Path) -> None:
    (root / "train" / "bird").mkdir()


def _loose(root: Path) -> None:
    for path in list((root / "train").rglob("*.png")):
        path.rename(root / "train" / f"{path.parent.name}{path.name}")
    for path in list((root / "train").iterdir()):
        if path.is_dir():
            path.rmdir()


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "one folder too high": (_only("pets"), r"has one class folder, 'pets', which has the folders "
                            r"cat, dog; expected a folder of pictures for each class, at least "
                            r"two: sort them so, or name the folder that has them"),
    "no classes": (_loose, r"train has no class folders, and 6 pictures outside of class fol.*"),
    "an empty class": (_empty_class, r"class folder .*train/bird has no pictures; put some there "
                                     r"\(png, .*\), or delete it"),
    "no train": (lambda root: (root / "train").rename(root.parent / f"{root.name}-else"),
                 r".* has val and test, but not train; expected train/<class>/\* beside it.*"),
    "two names": (lambda root: (root / "valid").mkdir(),
                  r".* has val and valid; expected one folder for the validation part"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(root: Path, case: str) -> None:
    """The line names the folder, what arrived, what was expected, and what to do."""
    spoil, pattern = WRONG[case]
    spoil(root)
    with pytest.raises(DataError) as caught:
        data.image_folder(root)
    assert re.fullmatch(rf"(.*)?{pattern}", str(caught.value)), caught.value


def test_impossible_folders_and_options(root: Path, tmp_path: Path) -> None:
    """A folder that isn't one, and options that can't be, are told at once."""
    with pytest.raises(DataError, match=r"nowhere doesn't exist; expected a fol"):
        data.image_folder(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match=r"image_size=\(4, 0\); expected a number of pixels"):
        data.image_folder(root, image_size=(4, 0))
    with pytest.raises(ArgumentError, match=r"color='bgr'; expected 'gray' or 'rgb'"):
        data.image_folder(root, color="bgr")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ArgumentError, match=r"validation_split=0.5, but .* has a part for valid"):
        data.image_folder(root, validation_split=0.5)
    with pytest.raises(ArgumentError, match=r"progress='loud'; expected one of auto, bar, lines"):
        data.image_folder(root, progress="loud")


def test_order_doesnt_depend_on_threads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads, which take turns in any order, give the pictures in the order of paths."""
    monkeypatch.setattr(pictures, "_CHUNK", 1)
    monkeypatch.setattr(pictures, "_SMALL_FILE", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    first = threading.Event()
    real = pictures.read_if_alike

    def slow_at_first(path: Path, *args: object, **options: bool) -> object:
        if path.name == "0.png" and path.parent.name == "cat":
            first.wait(5)  # until another thread has read another one
        else:
            first.set()
        return real(path, *args, **options)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(pictures, "read_if_alike", slow_at_first)
    train, _ = data.image_folder(root)
    assert first.is_set()
    assert train.pixels(slice(None))[:, 0, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
