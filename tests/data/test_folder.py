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
    assert test is None


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
    assert said[0] == f"image_folder: {root / 'extra'} isn't used: it is beside train"
    assert re.fullmatch(
        r"image_folder: left out 1 files that aren't pictures by .*notes.txt", said[1]
    )
    assert len(said) == 2
    data.image_folder(root, progress="quiet")
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
    assert (
        said == f"image_folder: {root / 'test'} isn't used: it has no class folders with pictures\n"
    )


@pytest.mark.parametrize("keep", [True, False])
def test_bad_pictures(root: Path, capsys: pytest.CaptureFixture[str], keep: bool) -> None:
    """They are named; left out, labels and pixels still belong together."""
    limit = 1 << 20 if keep else 0
    first, second = root / "train" / "cat" / "0.png", root / "train" / "dog" / "1.png"
    first.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.image_folder(root, memory_limit=limit)
    assert str(caught.value) == (
        f"image_folder: {first} is empty (0 bytes); copy it again, or delete it, or leave it out "
        "with --skip-bad (skip_bad=True)"
    )
    second.write_bytes(second.read_bytes()[:45])
    with pytest.raises(DataError, match=rf"0 bytes.*\(skip_bad=True\); 1 more are bad: {second}"):
        data.image_folder(root, memory_limit=limit)
    train, _ = data.image_folder(root, skip_bad=True, memory_limit=limit)
    assert capsys.readouterr().err == f"image_folder: left out 2 bad pictures: {first}, {second}\n"
    assert train.skipped == (first, second)
    assert train.y.tolist() == [0, 0, 1, 1]
    assert train.pixels([0, 1, 2, 3])[:, 0, 0, 0].tolist() == [1, 2, 100, 102]
    np.testing.assert_allclose(np.array(train.mean) * 255, [np.mean([1, 2, 100, 102])])
    for path in (root / "train" / "cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"has no pictures that can be read of class 'cat'; repl"):
        data.image_folder(root, skip_bad=True, memory_limit=limit)


def test_mixed_sizes_and_colours(root: Path) -> None:
    """They are refused with what there is and how often, and made alike when that is asked for."""
    put(root / "train" / "cat" / "5.png", 7, (100, 80))
    pattern = (
        r"image_folder: pictures of 2 sizes \(height x width\): 6 of 4 x 4, 1 of 100 x 80; make "
        r"them alike with --image-size 32 \(image_size=32\)"
    )
    with pytest.raises(DataError, match=pattern):
        data.image_folder(root)
    assert data.image_folder(root, image_size=3).train.shape == (1, 3, 3)
    put(root / "test" / "dog" / "c.png", (1, 2, 3))
    pattern = (
        r"pictures of 2 kinds: 11 of gray, 1 of rgb; make them alike with --color rgb "
        r"\(color='rgb'\) or --color gray"
    )
    with pytest.raises(DataError, match=pattern):
        data.image_folder(root, image_size=4)
    train, test = data.image_folder(root, image_size=(6, 5), color="rgb")
    assert train.shape == (3, 6, 5)
    assert (train.pixels([3]) == 7).all()
    assert test is not None
    assert test.pixels([1])[0, :, 0, 0].tolist() == [1, 2, 3]
    assert data.image_folder(root, image_size=4, color="gray").train.shape == (1, 4, 4)


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
    assert re.fullmatch(rf"image_folder: (.*)?{pattern}", str(caught.value)), caught.value


def test_impossible_folders_and_options(root: Path, tmp_path: Path) -> None:
    """A folder that isn't one, and options that can't be, are told at once."""
    with pytest.raises(DataError, match=r"image_folder: .*nowhere doesn't exist; expected a fol"):
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
