"""One picture: its size, its colours, which way it is up, and whatever is wrong with a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel.data import ImageFormat, read_image
from tinyaccel.data.images import image_format, is_image_name
from tinyaccel.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image", reason="pictures are decoded by Pillow")
Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def colors(rng: np.random.Generator) -> Pixels:
    """5 x 7 pixels in colours, (H, W, 3)."""
    return rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)


def _saved(path: Path, pixels: Pixels, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "ppm"])
def test_pixels_come_back(tmp_path: Path, colors: Pixels, kind: str) -> None:
    """A format that loses nothing gives the pixels written, channels first."""
    options = {"lossless": True} if kind == "webp" else {}
    path = _saved(tmp_path / f"a.{kind}", colors, **options)
    found = read_image(str(path), (3, 5, 7))
    assert found.dtype == np.uint8
    assert np.array_equal(found, colors.transpose(2, 0, 1))
    assert image_format(path) == ImageFormat((5, 7), "rgb")


def test_jpeg_and_gif(tmp_path: Path) -> None:
    """JPEG is near; of an animation the first picture is read."""
    ramp = np.broadcast_to(np.arange(0, 256, 16, dtype=np.uint8), (16, 16)).copy()
    found = read_image(_saved(tmp_path / "a.jpg", ramp, quality=95), (1, 16, 16))
    assert np.abs(found[0].astype(int) - ramp).max() <= 4
    frames = [Image.fromarray(np.full((2, 2), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif", (1, 2, 2)).tolist() == [[[10, 10], [10, 10]]]


def test_gray_is_luma(tmp_path: Path, colors: Pixels) -> None:
    """Colours become gray by the weights of BT.601; gray becomes three equal channels."""
    gray = read_image(_saved(tmp_path / "a.png", colors), (1, 5, 7))[0]
    assert np.abs(gray - colors @ np.array([0.299, 0.587, 0.114])).max() <= 1
    back = read_image(_saved(tmp_path / "b.png", gray), (3, 5, 7))
    assert (back == gray).all()
    assert image_format(tmp_path / "b.png").color == "gray"


def _palette(path: Path) -> None:
    image = Image.new("P", (1, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(path)


def _clear_palette(path: Path) -> None:
    image = Image.new("P", (1, 1), 0)
    image.putpalette([9, 9, 9])
    image.save(path, transparency=0)


def _array(values: object, dtype: type, kind: str) -> Callable[[Path], None]:
    # In the suffix, so that one table has PNG and TIFF.
    def write(path: Path) -> None:
        Image.fromarray(np.array(values, dtype)).save(path, format=kind)

    return write


# One pixel in each of Pillow's modes, and what becomes of it.
MODES: dict[str, tuple[Callable[[Path], None], list[int]]] = {
    "palette": (_palette, [10, 20, 30]),
    "transparent palette": (_clear_palette, [255, 255, 255]),
    "alpha half": (_array([[[100, 0, 200, 51]]], np.uint8, "PNG"), [224, 204, 244]),
    "gray and alpha 0": (lambda path: Image.new("LA", (1, 1), (7, 0)).save(path), [255] * 3),
    "1 bit": (lambda path: Image.new("1", (1, 1), 1).save(path), [255] * 3),
    "16 bits": (_array([[0x8081]], np.uint16, "PNG"), [128, 128, 128]),
    "16 bits, white": (_array([[65535]], np.uint16, "TIFF"), [255, 255, 255]),
    "cmyk": (lambda path: Image.new("CMYK", (1, 1), (0, 255, 255, 0)).save(path, "TIFF"),
             [255, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """Palettes, 1 and 16 bits and inks become colours; what is transparent lies on white."""
    write, wanted = MODES[mode]
    write(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", (3, 1, 1)).ravel().astype(int)
    assert np.abs(found - wanted).max() <= 1, found


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_pictures_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    """Each of the eight orientations gives the picture that was meant, and its size."""
    meant = np.zeros((16, 32), np.uint8)
    meant[:8, :8] = 255  # one corner tells all eight apart
    meant[:8, 24:] = 128
    # What a camera stores, so that turning it as EXIF says gives what is meant.
    stored = {
        1: meant, 2: meant[:, ::-1], 3: meant[::-1, ::-1], 4: meant[::-1], 5: meant.T,
        6: np.rot90(meant), 7: meant[::-1, ::-1].T, 8: np.rot90(meant, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _saved(tmp_path / f"a.{kind}", np.ascontiguousarray(stored), exif=exif)
    assert image_format(path).size == (16, 32)
    found = read_image(path, (1, 16, 32))[0].astype(int)
    assert np.abs(found - meant).max() < 16


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's
def test_damaged_exif_is_no_reason_to_refuse(tmp_path: Path, colors: Pixels) -> None:
    """A picture whose EXIF is garbage is read as it lies."""
    path = _saved(tmp_path / "a.jpg", colors, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_image(path, (3, 5, 7)).shape == (3, 5, 7)


def test_resizing_crops_the_middle_and_averages(tmp_path: Path) -> None:
    """Proportions stay: a wide picture loses its sides. Each new pixel averages what it covers."""
    wide = np.zeros((8, 24), np.uint8)
    wide[:, :8], wide[:, 16:] = 255, 255  # what is to go
    wide[:, 8:16] = np.indices((8, 8)).sum(0) % 2 * 200  # a chessboard, which averages to 100
    found = read_image(_saved(tmp_path / "a.png", wide), (1, 2, 2))[0].astype(int)
    assert np.abs(found - 100).max() <= 25
    tall = _saved(tmp_path / "b.png", np.ascontiguousarray(wide.T))
    assert np.abs(read_image(tall, (1, 2, 2))[0].astype(int) - 100).max() <= 25
    larger = read_image(_saved(tmp_path / "c.png", np.eye(2, dtype=np.uint8) * 240), (1, 4, 4))[0]
    assert larger[1, 0] == 180  # a quarter of the way: 3/4 of 240, 1/4 of 0
    assert larger[0, 0] == 240


def test_large_jpegs_are_decoded_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo made much smaller is decoded at a fraction, and looks the same."""
    ramp = np.broadcast_to(np.linspace(0, 255, 512).astype(np.uint8), (512, 512)).copy()
    path = _saved(tmp_path / "a.jpg", ramp, quality=95)
    fast = read_image(path, (1, 16, 16)).astype(int)
    drafts: list[object] = []
    monkeypatch.setattr(
        "PIL.JpegImagePlugin.JpegImageFile.draft", lambda *args: drafts.append(args)
    )
    slow = read_image(path, (1, 16, 16)).astype(int)
    assert len(drafts) == 1
    assert np.abs(fast - slow).max() <= 2


def _bytes(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _cut(path: Path) -> None:
    _saved(path, np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:1500])


def _cut_jpeg(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    _saved(path, pixels, format="JPEG")
    path.write_bytes(path.read_bytes()[:900])


def _spoilt_chunk(path: Path) -> None:
    _saved(path, np.zeros((4, 4), np.uint8))
    data = bytearray(path.read_bytes())
    data[29] ^= 255  # the checksum of the first chunk
    path.write_bytes(data)


def _floats(path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(path, format="TIFF")


def _many_bits(path: Path) -> None:
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(path, format="TIFF")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, r"can't be read: No such file or directory; check the file"),
    "empty": (_bytes(b""), r"is empty \(0 bytes\); copy it again, or delete it"),
    "text": (_bytes(b"<html>no"), r"is no picture \(it starts with 3c 68 74 6d 6c 3e 6e 6f\); "
                                  r"expected png, jpg, .*: save it as one of these, or delete it"),
    "postscript": (_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"),
                   r"is no picture .*"),
    "truncated png": (_cut, r"is a damaged picture \(.*truncated.*\); copy it again"),
    "truncated jpg": (_cut_jpeg, r"is a damaged picture \(.*truncated.*\); copy it again"),
    "corrupt": (_spoilt_chunk, r"is (a damaged|no) picture .*"),
    "a folder": (lambda path: path.mkdir(), r"can't be read: Is a directory; check the file"),
    "floats": (_floats, r"has pixels that are floats; expected 8 or 16 bits: save it so"),
    "32 bits": (_many_bits, r"has pixels of 32 bits; expected 8 or 16: save it so"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(tmp_path: Path, case: str) -> None:
    """The line names the file, what arrived and what to do."""
    spoil, pattern = WRONG[case]
    path = tmp_path / "a.png"
    spoil(path)
    with pytest.raises(DataError) as caught:
        read_image(path, (1, 8, 8))
    assert re.fullmatch(rf"{re.escape(str(path))} {pattern}", str(caught.value)), caught.value


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that claim more pixels than memory holds are not unpacked."""
    path = _saved(tmp_path / "a.png", np.zeros((40, 40), np.uint8))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a.png claims more pixels than a picture has .*1600.*"):
        read_image(path, (1, 4, 4))


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (3, 0, 8)])
def test_impossible_shapes(shape: tuple[int, ...]) -> None:
    """A shape that is no picture's is refused before a file is opened."""
    with pytest.raises(ArgumentError, match=r"read_image: shape .*; expected \(1, H, W\)"):
        read_image("nowhere.png", shape)


def test_names_of_pictures() -> None:
    """Suffixes count in either case."""
    names = ["a.PNG", "b.jpeg", "c.Tif", "d.txt", "png", "e.heic"]
    assert [is_image_name(Path(name)) for name in names] == [True, True, True, False, False, False]
