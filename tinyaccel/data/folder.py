"""A folder of pictures as a data set: a folder for each class, with or without train/ and test/."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from tinyaccel.data.alike import Part, Say, read_alike, some
from tinyaccel.data.dataset import Dataset, Splits
from tinyaccel.data.display import display
from tinyaccel.data.images import COLORS, Color, is_image_name
from tinyaccel.data.pictures import Decoded, ImageDataset
from tinyaccel.data.plural import counted
from tinyaccel.errors import ArgumentError, DataError

MEMORY_LIMIT = 2 << 30  # bytes of pixels that are kept; more are decoded batch by batch
_SMALL_SIDE = 8  # of what is hardly a picture any more

_PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_NOT_WORTH_A_WORD = ("thumbs.db", "desktop.ini", "__macosx")  # what file managers leave behind


def image_folder(
    folder: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    color: Color | None = None,
    skip_bad: bool = False,
    validation_split: float | None = None,
    seed: int = 0,
    progress: str = "auto",
    notes: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Splits[ImageDataset, ImageDataset | None]:
    """The pictures in a folder; their classes are the names of the folders they lie in.

    folder            has train/<class>/* and, if there are such parts, validation/<class>/* (or
                      val, valid) and test/<class>/*; or <class>/* alone. Folders inside a class
                      belong to it
    image_size        (H, W) to make all pictures, or one number for both; see `read_image`.
                      Default: the size that all of them have
    color             "gray" or "rgb", what to make them; default: what all of them are, and "rgb"
                      where some are gray, which is told of
    skip_bad          leave out, and name, files that can't be read, instead of raising
    validation_split  the fraction of the training pictures to hold out, in `.validation`
    seed              which these are
    progress          how it is shown: "auto", "bar", "lines", "quiet"
    notes             whether to tell what is left out or looks wrong; False where that was told
    memory_limit      bytes of pixels to keep in memory. If there are more, nothing is kept: each
                      picture is checked once here, and decoded again whenever it is asked for

    Classes are sorted by name. Hidden files are ignored, and files that aren't pictures by name,
    which are told of. mean and std, for each channel, are those of all pictures in train/.

    Raises `DataError` for fewer than two classes, a class without pictures, one that isn't in
    train/; for pictures that can't be read or are of several sizes, all of it in one line with the
    options that help; `ArgumentError` for an impossible option; `PackageError` without Pillow.
    """
    size, color = _checked(image_size, color)
    root, show = Path(folder), display(progress)
    say = show.message if notes else _say_nothing
    parts, classes = _find(root, say)
    if size is not None and min(size) < _SMALL_SIDE:
        say(f"pictures of {size[0]} x {size[1]} pixels show little; --image-size 32 or 64 is usual")
    form, results = read_alike(
        root, parts, size, color, skip_bad=skip_bad, limit=memory_limit, show=show, say=say
    )
    skipped: list[Path] = []
    found: dict[str, ImageDataset] = {}
    for name, part in parts.items():
        result = results[name]
        skipped += [part.paths[i] for i in result.faults]
        good, pixels = _without_faults(part, result)
        _check_classes(root, name, good, classes)
        base = found.get("train", result)
        found[name] = ImageDataset(
            good.paths, np.array(good.labels, np.int32), classes=classes, shape=form.shape,
            x=pixels, mean=base.mean, std=base.std,
            name=f"{root.name} ({name})" if len(parts) > 1 else root.name,
        )  # fmt: skip
    if skipped:
        say(f"left out {counted(len(skipped), 'bad picture')}: {some(skipped, 10)}")
    for dataset in found.values():
        dataset.skipped = tuple(skipped)
    return _splits(found, validation_split, seed, root)


def _splits(
    found: dict[str, ImageDataset], fraction: float | None, seed: int, root: Path
) -> Splits[ImageDataset, ImageDataset | None]:
    train = found["train"]
    validation: Dataset | None = found.get("validation")
    if fraction:
        if validation is not None:
            raise ArgumentError(
                f"image_folder: validation_split={fraction}, but {root} has a part for validation; "
                "expected one of the two"
            )
        rest, validation = train.split(fraction, seed)
        assert isinstance(rest, ImageDataset)
        return Splits(rest, found.get("test"), validation)
    return Splits(train, found.get("test"), validation)


def _say_nothing(_text: str) -> None:
    pass


def _without_faults(part: Part, result: Decoded) -> tuple[Part, npt.NDArray[np.uint8] | None]:
    """The part and its pixels without the bad files."""
    if not result.faults:
        return part, result.pixels
    good = [i for i in range(len(part.paths)) if i not in result.faults]
    kept = Part([part.paths[i] for i in good], [part.labels[i] for i in good])
    return kept, None if result.pixels is None else result.pixels[good]


def _checked(
    image_size: int | tuple[int, int] | None, color: Color | None
) -> tuple[tuple[int, int] | None, Color | None]:
    if color is not None and color not in COLORS:
        raise ArgumentError(f"image_folder: color={color!r}; expected 'gray' or 'rgb'")
    if image_size is None:
        return None, color
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ArgumentError(
            f"image_folder: image_size={image_size!r}; expected a number of pixels, or (H, W)"
        )
    return (size[0], size[1]), color


# Which files there are


def _find(root: Path, say: Say) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The files of each part, train first, and the classes."""
    folders = _layout(root, say)
    others: list[Path] = []
    by_part = {part: _by_class(folder, others) for part, folder in folders.items()}
    if others:
        say(f"left out {counted(len(others), 'file')}, no picture by name: {some(others)}")
    classes = tuple(sorted(by_part["train"]))
    _check_training(folders["train"], by_part["train"])
    _tell_of_folders(folders["train"], by_part["train"], say)
    parts: dict[str, Part] = {}
    for part, pictures in by_part.items():
        unknown = sorted(pictures.keys() - set(classes))
        if unknown:
            raise DataError(
                f"{folders[part]} has class {unknown[0]!r}, which "
                f"{folders['train']} doesn't have; expected the same classes in both: rename it, "
                "or give it pictures to learn from"
            )
        pairs = [(path, label) for label, c in enumerate(classes) for path in pictures.get(c, ())]
        if pairs:
            parts[part] = Part([path for path, _ in pairs], [label for _, label in pairs])
        else:
            say(f"{folders[part]} isn't used: it has no class folders with pictures")
    return parts, classes


def _layout(root: Path, say: Say) -> dict[str, Path]:
    """The folder of each part."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "doesn't exist"
        raise DataError(f"{root} {what}; expected a folder of pictures")
    folders = _entries(root)[0]
    found: dict[str, Path] = {}
    for part, names in _PARTS.items():
        there = [folder for folder in folders if folder.name.lower() in names]
        if len(there) > 1:
            raise DataError(
                f"{root} has {' and '.join(f.name for f in there)}; expected one "
                f"folder for the {part} part"
            )
        if there:
            found[part] = there[0]
    if "train" in found:
        rest = [folder for folder in folders if folder not in found.values()]
        if rest:
            say(f"not used, since it is beside {found['train'].name}: {some(rest)}")
        return found
    if found:
        raise DataError(
            f"{root} has {' and '.join(f.name for f in found.values())}, but not "
            "train; expected train/<class>/* beside it, or folders of classes alone"
        )
    return {"train": root}


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, sorted by name, without hidden ones."""
    try:
        entries = sorted(path for path in folder.iterdir() if not _is_hidden(path.name))
    except OSError as error:
        raise _unreadable(folder, error) from error
    folders = [path for path in entries if path.is_dir()]
    return folders, [path for path in entries if not path.is_dir()]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOT_WORTH_A_WORD


def _by_class(folder: Path, others: list[Path]) -> dict[str, list[Path]]:
    """The pictures of each class, sorted by path; other files are added to `others`.

    Names are compared in Unicode's form NFC: a folder copied from a Mac has the other form.
    """
    classes: dict[str, list[Path]] = {}
    for child in _entries(folder)[0]:
        files = list(_files(child))
        pictures = classes.setdefault(unicodedata.normalize("NFC", child.name), [])
        pictures += sorted(path for path in files if is_image_name(path))
        others += sorted(path for path in files if not is_image_name(path))
    return classes


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, each once; links are followed, but not round in circles."""

    def fail(error: OSError) -> NoReturn:
        raise _unreadable(folder, error) from error

    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(here, name) for name in files if not _is_hidden(name))


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{error.filename or folder} can't be read: {error.strerror}; check its permissions"
    )


def _check_training(folder: Path, pictures: dict[str, list[Path]]) -> None:
    """That there is something to learn to tell apart."""
    if len(pictures) < 2:
        files = [path for path in _entries(folder)[1] if is_image_name(path)]
        inside = _entries(folder / next(iter(pictures)))[0] if pictures else []
        has = "no class folders" if not pictures else f"one class folder, {next(iter(pictures))!r}"
        if files:
            has += f", and {counted(len(files), 'picture')} outside of class folders"
        elif inside:
            has += f", which has the folders {some([Path(path.name) for path in inside])}"
        raise DataError(
            f"{folder} has {has}; expected a folder of pictures for each class, at "
            "least two: sort them so, or name the folder that has them"
        )
    for name, paths in pictures.items():
        if not paths:
            raise DataError(
                f"class folder {folder / name} has no pictures; put some there "
                "(png, jpg, bmp, gif, webp, tiff, pgm, ppm), or delete it"
            )


def _tell_of_folders(folder: Path, pictures: dict[str, list[Path]], say: Say) -> None:
    """Say it where a class has no pictures but in several folders: these may be the classes.

    Such a folder may be meant (pictures by year), or data was named one folder too high.
    """
    for paths in pictures.values():
        places = [path.relative_to(folder).parts for path in paths]
        inner = dict.fromkeys(place[1] for place in places if len(place) > 2)
        if len(inner) > 1 and all(len(place) > 2 for place in places):
            child = folder / places[0][0]
            say(
                f"{child} has no pictures of its own, but folders of them "
                f"({some([Path(name) for name in inner])}): all are one class, {child.name!r}; if "
                f"these folders are the classes, name the one that has them: --data {child}"
            )
            return  # a line for one is enough


def _check_classes(root: Path, name: str, part: Part, classes: tuple[str, ...]) -> None:
    """That something is left of each class to learn from, and of each part at all."""
    there = set(part.labels)
    lost = [c for i, c in enumerate(classes) if i not in there] if name == "train" else []
    if lost or not there:
        raise DataError(
            f"{root} has no pictures that can be read "
            + (f"of class {lost[0]!r}" if lost else f"in its {name} part")
            + "; replace them, or delete the folder"
        )
