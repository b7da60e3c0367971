"""Open an image by its content: one local file, in a raster format that Pillow decodes by itself.

Pillow finds the format from the first bytes of a file. For some formats it starts another program (Ghostscript, for
PostScript) or reads a document or a drawing, so only the formats below are opened, whatever the suffix of the file.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

RASTER = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "JPEG2000", "AVIF", "HEIF", "PPM", "QOI", "ICO", "SGI")
"""Formats that begin with bytes of their own, by the names that Pillow has for them. HEIF needs pillow-heif."""

WEAK = ("PCX", "TGA")
"""Formats whose first bytes other data may have too; only a file with their suffix is taken for them."""

EXTENSIONS = frozenset(
    {".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".icb", ".ico", ".j2k", ".jfif", ".jp2", ".jpe"}
    | {".jpeg", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".rgb", ".sgi"}
    | {".tga", ".tif", ".tiff", ".vda", ".vst", ".webp"}
)
"""Suffixes of these formats. A file with another suffix is an image too if its content is."""

PIXELS = 120_000_000
"""Pixels of the largest image that is decoded: 12,000 x 10,000. Decoding takes up to eight bytes for each."""

BYTES = 2**30
"""Size of the largest file that is opened: `PIXELS` with four channels of 16 bits fit. Some decoders read all of it."""

OTHERS = {
    b"%!PS": "PostScript, a program that draws",
    b"\xc5\xd0\xd3\xc6": "PostScript, a program that draws",
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop document",
    b"DDS ": "a texture (DDS)",
    b"icns": "an icon for macOS",
    b"<svg": "SVG, a drawing in markup",
    b"<?xml": "markup",
    b"<!doc": "markup",
    b"<html": "markup",
    b"\xd7\xcd\xc6\x9a": "WMF, a drawing for Windows",
    b"id=image": "a script of ImageMagick",
}
"""First bytes of files that are often called images, and what they are."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """`with opened(path) as image`: the first image of a file, not decoded yet.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is not a file, is empty, too large, or in none of the formats.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # A pipe or a device may never end.
        raise ValueError("it is a folder, a pipe or a device, and not a file")
    if status.st_size == 0:
        raise ValueError("the file is empty")
    if status.st_size > BYTES:
        raise ValueError(f"it has {status.st_size / BYTES:.1f} GiB, more than the one GiB that is read")
    weak = WEAK if path.suffix.lower() in EXTENSIONS else ()
    with path.open("rb") as file:
        try:
            image = Image.open(file, formats=_known((*RASTER, *weak)))
        except (UnidentifiedImageError, ImportError):  # ultralytics replaces `Image.open`, and imports a plugin then
            file.seek(0)
            raise ValueError(_not_raster(file.read(64))) from None
        with image:
            if image.width * image.height > PIXELS:
                size = f"{image.width} x {image.height} pixels"
                raise ValueError(f"it has {size}, more than the {PIXELS:,} that are read; scale it down")
            yield image


def is_raster(path: Path) -> bool:
    """Whether the content of a file is in one of the formats, whatever its suffix. Its head alone is read."""
    try:
        with opened(path):
            return True
    except Exception:  # On damaged content readers raise anything.
        return False


def _known(formats: tuple[str, ...]) -> list[str]:
    """The formats that this installation of Pillow has."""
    Image.init()
    return [name for name in formats if name in Image.OPEN]


def _not_raster(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "it is HEIC, which Pillow reads only after pillow_heif.register_heif_opener(); save it as PNG"
    found = next((what for begin, what in OTHERS.items() if head.lstrip().lower().startswith(begin.lower())), None)
    return f"it is {found}, which is not read; save it as PNG" if found else "cannot identify image file"
