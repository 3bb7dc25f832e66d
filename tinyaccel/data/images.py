"""Pictures: one file made into pixels of a given size and number of colours, by Pillow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.extras import optional

if TYPE_CHECKING:
    from PIL.Image import Image

Color: TypeAlias = Literal["gray", "rgb"]
COLORS: tuple[Color, ...] = ("gray", "rgb")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
# No other format that Pillow knows is tried: among them is one that starts another program.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_GRAY_MODES = ("1", "L", "LA", "La", "I", "F")
_LARGEST_16_BIT = 65_535


class ImageFormat(NamedTuple):
    """The size and the colours that pictures have, or are made into.

    >>> ImageFormat((32, 48), "rgb").shape
    (3, 32, 48)
    """

    size: tuple[int, int]  # (H, W)
    color: Color

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return (1 if self.color == "gray" else 3, *self.size)


def read_image(path: str | Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A picture as pixels (C, H, W) of uint8, C = 1 for gray or 3 for red, green, blue.

    shape  (C, H, W), such as a data set's `shape`

    It is turned as its EXIF orientation says; laid on white where it is transparent; 16 bits
    become 8; colours become gray as 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). A picture of
    another size keeps its proportions: the largest part in its middle that has those of H x W is
    resized, bilinear and averaged over what a new pixel covers. Of an animation it is the first
    picture. png, jpg, bmp, gif, webp, tiff, pgm, ppm, told by their bytes, not their names.

    Raises `DataError` for a file that is missing, empty, truncated or no picture; `ArgumentError`
    for another shape; `PackageError` without Pillow.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1:
        raise ArgumentError(
            f"read_image: shape {shape}; expected (1, H, W) for gray or (3, H, W) for colours"
        )
    channels, height, width = shape
    form = ImageFormat((height, width), "gray" if channels == 1 else "rgb")
    with _opened(Path(path)) as image:
        return _pixels(image, form)


def read_if_alike(
    path: Path, form: ImageFormat, *, resize: bool, recolor: bool
) -> tuple[ImageFormat, npt.NDArray[np.uint8] | None]:
    """The picture's own format, and what `read_image` gives; None if it isn't in that format.

    resize, recolor  whether another size, or other colours, are to be made into those of `form`
    """
    with _opened(path) as image:
        own = _format(image)
        alike = (resize or own.size == form.size) and (recolor or own.color == form.color)
        return own, _pixels(image, form) if alike else None


def image_format(path: str | Path) -> ImageFormat:
    """The size and colours of a picture, from the head of its file: its pixels aren't looked at.

    Raises what `read_image` does, except for what is wrong further down in the file.
    """
    with _opened(Path(path)) as image:
        return _format(image)


def is_image_name(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


# Orientation as EXIF 2.32 numbers it, and what puts it right, as Pillow calls it.
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
_SWAPPING = {"TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """The picture in a file; whatever goes wrong with it becomes one line that names the file."""
    pillow = optional("PIL.Image", "reading pictures")
    try:
        # Given a path, Pillow maps the file, and scrambles a bare TIFF that is to be turned.
        with path.open("rb") as file, pillow.open(file, formats=_FORMATS) as image:
            yield image
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise DataError(
            f"{path} claims more pixels than a picture has ({error}); make it smaller, or delete it"
        ) from error
    except pillow.UnidentifiedImageError as error:
        raise DataError(f"{path} {_what_it_is(path)}") from error
    except OSError as error:
        if error.strerror:  # the system's word, not Pillow's
            raise DataError(f"{path} can't be read: {error.strerror}; check the file") from error
        raise DataError(f"{path} {_damaged(error)}") from error
    except Exception as error:  # a dozen decoders raise errors of every kind on damaged bytes
        raise DataError(f"{path} {_damaged(error)}") from error


def _damaged(error: Exception) -> str:
    return f"is a damaged picture ({str(error) or type(error).__name__}); copy it again"


def _what_it_is(path: Path) -> str:
    """What to say of a file that is no picture."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return "is empty (0 bytes); copy it again, or delete it"
    return (
        f"is no picture (it starts with {start.hex(' ')}); expected png, jpg, bmp, gif, webp, "
        "tiff, pgm or ppm: save it as one of these, or delete it"
    )


def _format(image: Image) -> ImageFormat:
    width, height = image.size
    size = (width, height) if _turn(image) in _SWAPPING else (height, width)
    # A palette counts as colours: which ones, only its pixels would say.
    is_gray = image.mode in _GRAY_MODES or image.mode.startswith("I;16")
    return ImageFormat(size, "gray" if is_gray else "rgb")


def _turn(image: Image) -> str | None:
    """How to turn a picture so that it is upright. Pillow turns TIFFs by itself."""
    if "exif" not in image.info or image.format == "TIFF":
        return None
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF is no reason to refuse the picture
        return None


def _pixels(image: Image, form: ImageFormat) -> npt.NDArray[np.uint8]:
    """(C, H, W)"""
    pillow, operations = optional("PIL.Image", ""), optional("PIL.ImageOps", "")
    height, width = form.size
    turn = _turn(image)
    if image.size != (width, height):
        # A large JPEG is decoded at 1/2, 1/4 or 1/8, if that leaves twice what is wanted.
        image.draft(None, (2 * max(form.size), 2 * max(form.size)))
    converted = _converted(image, form.color)
    if turn is not None:
        converted = converted.transpose(pillow.Transpose[turn])
    if converted.size != (width, height):
        converted = operations.fit(converted, (width, height), pillow.Resampling.BILINEAR)
    pixels = np.asarray(converted, np.uint8).reshape(height, width, -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _converted(image: Image, color: Color) -> Image:
    """The picture in mode L or RGB."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    elif image.mode == "F":
        raise DataError("has pixels that are floats; expected 8 or 16 bits: save it so")
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        image = _on_white(image)
    return image.convert("L" if color == "gray" else "RGB")


def _from_16_bits(image: Image) -> Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _LARGEST_16_BIT:
        raise DataError("has pixels of 32 bits; expected 8 or 16: save it so")
    pixels: Any = (values * 255 + _LARGEST_16_BIT // 2) // _LARGEST_16_BIT
    return optional("PIL.Image", "").fromarray(pixels.astype(np.uint8))  # type: ignore[no-any-return]


def _on_white(image: Image) -> Image:
    pillow = optional("PIL.Image", "")
    above = image.convert("RGBA")
    white = pillow.new("RGBA", above.size, "white")
    return pillow.alpha_composite(white, above).convert("RGB")  # type: ignore[no-any-return]
