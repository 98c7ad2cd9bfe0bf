"""Images of unusual kinds: what each becomes, and that none is unfolded which takes more memory than there is."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alsuite.data.images import coloured, decoded, for_browsers, image_files, labelled_files, read_mask, square, version
from alsuite.errors import UserError
from helpers.data_files import write_image
from helpers.spoiled import bomb

SIDE = 4
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def plain(mode: str, value: float | tuple[int, ...], size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new(mode, size, value)


def gray16(path: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), 0x80FF, np.uint16)).save(path)


def animated(path: Path) -> None:
    plain("RGB", RED).save(path, save_all=True, append_images=[plain("RGB", GREEN)], duration=100)


def palette(path: Path) -> None:
    """Write red and green by numbers, the green transparent."""
    image = plain("P", 0)
    image.putpalette([*RED, *GREEN])
    image.putpixel((SIDE - 1, 0), 1)
    image.save(path, transparency=bytes([255, 0]))


def lying(path: Path) -> None:
    """Write a photo that is to be turned by a quarter, red above green when it is."""
    image = plain("RGB", RED, (40, 40))
    image.paste(GREEN, (20, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif, quality=100, subsampling=0)


ODD: dict[str, tuple[Callable[[Path], object], tuple[int, ...], tuple[int, ...]]] = {
    "cmyk.jpg": (plain("CMYK", (0, 255, 255, 0)).save, RED, RED),
    "gray.png": (plain("L", 7).save, (7, 7, 7), (7, 7, 7)),
    "bits.png": (plain("1", 1).save, WHITE, WHITE),
    "sixteen.png": (gray16, (0x80,) * 3, (0x80,) * 3),
    "sixteen.tif": (gray16, (0x80,) * 3, (0x80,) * 3),
    "animated.gif": (animated, RED, RED),
    "palette.png": (palette, RED, WHITE),
    "clear.png": (plain("RGBA", (0, 255, 0, 0)).save, WHITE, WHITE),
    "half.webp": (lambda path: plain("RGBA", (0, 0, 0, 128)).save(path, lossless=True), (127,) * 3, (127,) * 3),
    "lying.jpg": (lying, RED, RED),
}


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_an_image_of_32_bits_a_pixel_is_refused(kind: type, tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 64).reshape(8, 8).astype(kind)).save(tmp_path / "deep.tif")
    with pytest.raises(UserError, match=r"deep\.tif \(ValueError: it has 32 bits a pixel, save it with 8 or 16\)"):
        decoded(tmp_path / "deep.tif", coloured)


def test_a_camera_s_note_that_cannot_be_read_hinders_no_picture(tmp_path: Path) -> None:
    plain("RGB", RED).save(tmp_path / "0.jpg", exif=b"Exif\0\0nonsense", dpi=(72, 72))
    assert np.abs(np.asarray(decoded(tmp_path / "0.jpg", coloured)).astype(int) - RED).max() <= 2


def test_sixteen_bits_of_a_plain_map_are_read(tmp_path: Path) -> None:
    (tmp_path / "0.pgm").write_bytes(b"P5 4 4 65535\n" + b"\x80\xff" * 16)
    assert {*np.asarray(decoded(tmp_path / "0.pgm", coloured)).ravel().tolist()} == {0x80}


@pytest.mark.parametrize("name", ["deep.png", "photo.png"])
def test_a_mask_whose_numbers_would_be_others_is_refused(name: str, tmp_path: Path) -> None:
    numbers = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(SIDE, SIDE) % 4)
    numbers.save(tmp_path / "photo.png", "jpeg")
    write_gray(tmp_path / "deep.png", bits=2)
    with pytest.raises(UserError, match="is no mask: save it as a PNG"):
        read_mask(tmp_path / name)


def write_gray(path: Path, bits: int) -> None:
    """Write a gray PNG of so many bits a pixel, all of them set."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", SIDE, SIDE, bits, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff" * (SIDE * bits // 8)) * SIDE)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


@pytest.mark.parametrize("name", ODD)
def test_an_odd_image_becomes_what_a_person_sees(name: str, tmp_path: Path) -> None:
    """Looked at are the two upper corners."""
    write, left, right = ODD[name]
    write(tmp_path / name)
    found = np.asarray(decoded(tmp_path / name, coloured)).astype(int)
    for column, colour in ((0, left), (-1, right)):
        assert np.abs(found[0, column] - colour).max() <= 2
    assert square(tmp_path / name, SIDE, SIDE).shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_a_bomb_is_refused_before_it_is_unfolded(side: int, tmp_path: Path) -> None:
    """PIL warns of the smaller one, and refuses the larger one itself."""
    bomb(tmp_path / "x.png", side)
    for read in (lambda path: square(path, SIDE, SIDE), read_mask):
        with pytest.raises(UserError, match=r"x\.png has more than 89 million pixels: make it smaller, or delete it"):
            read(tmp_path / "x.png")


def test_what_only_bears_an_images_suffix_is_refused(tmp_path: Path) -> None:
    """PIL has another program run PostScript, whatever its file is called."""
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    for read in (lambda path: square(path, SIDE, SIDE), read_mask):
        with pytest.raises(UserError, match=r"cannot read the image \S+x\.jpg \(.*cannot identify image file"):
            read(tmp_path / "x.jpg")


def test_a_folder_is_no_image_whatever_it_is_called(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png" / "b.png", 0, kind="png")
    assert image_files(tmp_path) == [tmp_path / "a.png" / "b.png"]


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    tree = tmp_path / ".mine"  # what the folder itself lies in says nothing
    hidden = [f"cat/{name}" for name in ("._0.png", ".ipynb_checkpoints/0-checkpoint.png", "deep/.old/more/2.png")]
    for name in ("cat/0.png", "cat/deep/1.PNG", *hidden):
        write_image(tree / name, 0, kind="png")
    assert image_files(tree) == [tree / "cat" / "0.png", tree / "cat" / "deep" / "1.PNG"]
    assert labelled_files(tree, ["dog", "cat"]) == [(tree / "cat" / "0.png", 1)]
    assert labelled_files(tree, ["cat"], "**/*") == [(file, 0) for file in image_files(tree)]
    before = version(tree, 8)
    (tree / hidden[0]).write_bytes(b"another")
    assert version(tree, 8) == before
    (tree / "cat" / "Thumbs.db").write_bytes(b"no image")
    assert version(tree, 8) == before
    (tree / "cat" / "0.png").write_bytes(b"another")
    assert version(tree, 8) != before


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    true, tree = tmp_path / "true", tmp_path / "tree"
    for name in ("cat/0.png", "one.png"):
        write_image(true / name, 0, kind="png")
    tree.mkdir()
    (tree / "cats").symlink_to(true / "cat")
    (tree / "one.png").symlink_to(true / "one.png")
    (tree / "none.png").symlink_to(true / "none.png")
    (true / "cat" / "up").symlink_to(tree)
    names = [file.relative_to(tree).as_posix() for file in image_files(tree)]
    assert names == ["cats/0.png", "none.png", "one.png"]
    versions = [version(tree, 8)]
    for changed in ("one.png", "cat/0.png", "cat/1.png"):
        write_image(true / changed, 200, mode="L", kind="png")
        versions.append(version(tree, 8))
    assert len({*versions}) == 4


def test_a_browser_gets_what_it_shows_as_it_is_learned(tmp_path: Path) -> None:
    write_image(tmp_path / "tiff.jpg", 7, kind="tiff")
    palette(tmp_path / "glass.png")
    for kind in ("png", "jpeg", "tiff"):
        write_image(tmp_path / f"0.{kind}", 7, kind=kind)
    for name, expected in (("0.png", "png"), ("0.jpeg", "jpeg"), ("0.tiff", "png"), ("tiff.jpg", "png")):
        content, told = for_browsers(tmp_path / name)
        assert told == f"image/{expected}"
        with Image.open(BytesIO(content)) as image:
            assert image.get_format_mimetype() == told
    with Image.open(BytesIO(for_browsers(tmp_path / "glass.png")[0])) as image:
        assert image.mode == "RGB"
        assert image.getpixel((SIDE - 1, 0)) == (255, 255, 255)
