"""Which files are opened as images: by content, never by another program, and whatever their damage."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from wholeframe.data import raster
from wholeframe.data.images import read_image
from wholeframe.data.raster import EXTENSIONS, is_raster

PROGRAMS = ("gs", "gswin32c", "gswin64c", "ffmpeg", "convert", "magick", "djpeg", "dvips", "inkscape", "xv", "display")

# A format of Pillow with the suffix and the modes that it is written in.
WRITTEN = {
    "PNG": ("png", ("RGB", "RGBA", "P", "LA", "1", "I;16")),
    "JPEG": ("jpg", ("RGB", "L", "CMYK")),
    "GIF": ("gif", ("P", "L")),
    "WEBP": ("webp", ("RGB", "RGBA")),
    "BMP": ("bmp", ("RGB", "P", "1")),
    "DIB": ("dib", ("RGB",)),
    "TIFF": ("tif", ("RGB", "RGBA", "I;16", "CMYK", "LAB")),
    "JPEG2000": ("jp2", ("RGB", "L")),
    "AVIF": ("avif", ("RGB", "RGBA")),
    "PPM": ("ppm", ("RGB", "L", "1")),
    "QOI": ("qoi", ("RGB", "RGBA")),
    "ICO": ("ico", ("RGBA",)),
    "SGI": ("sgi", ("RGB", "L")),
    "PCX": ("pcx", ("RGB", "P")),
    "TGA": ("tga", ("RGB", "RGBA", "L")),
    "MPO": ("mpo", ("RGB",)),
}

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def picture(mode: str) -> Image.Image:
    image = Image.effect_noise((48, 40), 90)
    image.paste(Image.linear_gradient("L").resize((24, 40)), (0, 0))
    return image.convert("RGB").convert(mode) if mode not in ("I;16", "LAB") else _unusual(image, mode)


def _unusual(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("I").convert("I;16") if mode == "I;16" else Image.merge("LAB", [image] * 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A file of each format and mode."""
    folder = tmp_path_factory.mktemp("images") / "whole"
    folder.mkdir()
    Image.init()
    for kind, (suffix, modes) in WRITTEN.items():
        for mode in modes:
            if kind in Image.SAVE:  # AVIF is left out of some builds of Pillow.
                picture(mode).save(folder / f"{mode.replace(';', '')}.{suffix}", kind)
    return folder


@pytest.fixture
def read_all(tmp_path):
    """`read_all(folder)`: the report of `read_images.py`, run with a PATH of programs that leave a mark."""

    def read_all(folder: Path) -> dict:
        traps, mark = tmp_path / "traps", tmp_path / "mark"
        traps.mkdir()
        for name in PROGRAMS:
            (traps / name).write_text(f"#!/bin/sh\necho {name} >> '{mark}'\n")
            (traps / name).chmod(0o755)
        script = Path(__file__).with_name("read_images.py")
        environment = {**os.environ, "PATH": str(traps)}
        done = subprocess.run([sys.executable, script, folder], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert not mark.exists(), mark.read_text()
        return json.loads(done.stdout)

    return read_all


def test_every_format_is_found_by_content(whole, tmp_path):
    assert len(list(whole.iterdir())) >= 30
    for file in whole.iterdir():
        disguised = tmp_path / "photo.txt"
        disguised.write_bytes(file.read_bytes())
        strong = file.suffix not in (".pcx", ".tga")
        assert is_raster(file) and is_raster(disguised) == strong, file
        if strong and file.stem != "LAB":
            assert read_image(disguised) == read_image(file)


def test_suffixes():
    assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".webp", ".ppm", ".mpo", ".heic"} <= EXTENSIONS
    assert not EXTENSIONS & {".pdf", ".eps", ".ps", ".svg", ".mpg", ".h5", ".txt", ".md", ".db", ".wmf", ".xbm", ""}


OTHERS = {
    "postscript": (POSTSCRIPT, "it is PostScript, a program that draws, which is not read; save it as PNG"),
    "eps": (b"\xc5\xd0\xd3\xc6" + bytes(28) + POSTSCRIPT, "it is PostScript"),
    "pdf": (b"%PDF-1.7\n1 0 obj\n", "it is a PDF document, which is not read"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "it is SVG"),
    "xml": (b'\n<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>', "it is markup"),
    "html": (b"<!DOCTYPE html><html>", "it is markup"),
    "wmf": (b"\xd7\xcd\xc6\x9a" + bytes(40), "it is WMF, a drawing for Windows"),
    "xbm": (b"#define im_width 8\n#define im_height 1\nstatic char im_bits[] = {\n0x00 };\n", "cannot identify image"),
    "mpeg": (b"\0\0\1\xb3" + bytes(60), "cannot identify image file"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(40), "it is HEIC, which Pillow reads only after pillow_heif"),
    "mvg": (b"push graphic-context\nimage over 0,0 0,0 'https://example.com/x'\n", "cannot identify image file"),
    "words": (b"only words", "cannot identify image file"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".eps", ".tif", ""])
def test_other_formats_are_refused_whatever_their_suffix(tmp_path, name, suffix):
    content, reason = OTHERS[name]
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert not is_raster(tmp_path / f"a{suffix}")
    with pytest.raises(ValueError) as caught:
        read_image(tmp_path / f"a{suffix}")
    assert f"({reason}" in str(caught.value)


def test_a_program_that_replaces_the_function_of_pillow(tmp_path, monkeypatch):
    """As ultralytics does: for what Pillow does not identify, its function imports a plugin, which may be absent."""
    (tmp_path / "a.jpg").write_bytes(b"only words")

    def without_plugin(*_, **__):
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(raster.Image, "open", without_plugin)
    with pytest.raises(ValueError, match="cannot identify image file"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["pipe.jpg", "folder.jpg", "device.jpg"])
def test_not_a_file(tmp_path, name):
    if name == "pipe.jpg":
        os.mkfifo(tmp_path / name)
    elif name == "folder.jpg":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="it is a folder, a pipe or a device, and not a file"):
        read_image(tmp_path / name)


def test_large_images_and_files(tmp_path, bomb):
    message = r"it has 12000 x 12000 pixels, more than the 120,000,000 that are read; scale it down"
    with pytest.raises(ValueError, match=message):
        read_image(bomb(tmp_path / "a.png", 12_000))
    with (tmp_path / "b.webp").open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBPVP8 ")
        file.truncate(3 * 2**30)  # A sparse file takes no space.
    with pytest.raises(ValueError, match=r"it has 3\.0 GiB, more than the one GiB that is read"):
        read_image(tmp_path / "b.webp")


def test_formats_that_this_pillow_has(monkeypatch):
    assert "HEIF" not in raster._known(raster.RASTER)
    monkeypatch.setitem(Image.OPEN, "HEIF", Image.OPEN["PNG"])  # as pillow_heif.register_heif_opener() does
    assert "HEIF" in raster._known(raster.RASTER)


@pytest.mark.slow
def test_no_reader_starts_a_program_or_opens_another_file(whole, tmp_path, read_all):
    folder = whole.parent / "others"
    folder.mkdir()
    for name, (content, _) in OTHERS.items():
        for suffix in ("jpg", "eps", "tif", "pdf", "wmf", "svg"):
            (folder / f"{name}.{suffix}").write_bytes(content)
    for file in whole.iterdir():
        (folder / f"{file.stem}-{file.suffix[1:]}.eps").write_bytes(file.read_bytes())
    report = read_all(folder)
    assert report["events"] == [] and report["children"] == 0
    assert report["outcomes"]["RGB-png.eps"] == "RGB 48 x 40" and "PostScript" in report["outcomes"]["eps.jpg"]


# ------------------------------------------------------------------------------------------- damaged files


def damaged(content: bytes, draw: random.Random) -> bytes:
    """One to four damages: bytes flipped or set to extremes, parts cut off, left out, repeated, or put in."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(min(64, len(data)))
        kind, length = draw.randrange(6), draw.choice((1, 2, 4, 16, 200))
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at : at + length] = draw.choice((b"\x00", b"\xff", b"\x7f")) * length
        elif kind == 2:
            data[at:] = b""
        elif kind == 3:
            data[at : at + length] = b""
        elif kind == 4:
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = draw.randbytes(length)
        data = data or bytearray(b"\x00")
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "count"), [(0, 4), *(pytest.param(seed, 250, marks=pytest.mark.slow) for seed in range(1, 3))]
)
def test_damaged_files_give_an_image_or_a_sentence(whole, tmp_path, read_all, seed, count):
    draw, folder = random.Random(seed), whole.parent / f"damaged-{seed}"
    folder.mkdir()
    files = sorted(whole.iterdir())
    for number in range(count):
        file = files[number % len(files)]
        (folder / f"{number:04}{file.suffix}").write_bytes(damaged(file.read_bytes(), draw))
    report = read_all(folder)
    assert len(report["outcomes"]) == count
    for name, outcome in report["outcomes"].items():
        sentence = (
            outcome.startswith(f"'{folder / name}' is not an image that can be decoded (") and "\n" not in outcome
        )
        assert outcome.startswith("RGB ") or sentence, outcome
    assert report["events"] == [] and report["children"] == 0
    assert report["mebibytes"] < 1024


def test_blending_in_bands_is_blending_at_once(monkeypatch):
    from wholeframe.data import images

    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    content = io.BytesIO()
    image.save(content, "PNG")
    white = Image.new("RGBA", image.size, "white")
    expected = Image.alpha_composite(white, image).convert("RGB")
    monkeypatch.setattr(images, "BAND", 3 * image.width)
    assert images._over_white(image) == expected
