"""Pictures of a bounded size inside a report."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from wholeframe.explain.page.pictures import as_text
from wholeframe.explain.report.content import Picture

ALL, EACH = 2_000_000, 160_000
"""The most characters of all pictures together, and of one."""

LONGEST = (1600, 1200, 900, 700, 500, 350, 250)
"""Pixels of the longer side: the first that is small enough."""


WIDE = 2.5
"""Width over height from which on a picture has a row of its own."""


class Thumbnail(NamedTuple):
    """A picture with its `data:` address, which is empty if the picture is too large in any of the sizes."""

    picture: Picture
    address: str
    wide: bool


def thumbnails(pictures: Sequence[Picture]) -> list[Thumbnail]:
    """The pictures as small as they have to be."""
    most = min(EACH, ALL // max(len(pictures), 1))
    return [Thumbnail(each, *_thumbnail(each.file, each.file.stat().st_mtime_ns, most)) for each in pictures]


@lru_cache(maxsize=1024)
def _thumbnail(file: Path, _written: int, most: int) -> tuple[str, bool]:
    """A report is written after every training, and its pictures stay the same."""
    with Image.open(file) as image:
        address = next((text for side in LONGEST if len(text := as_text(image, side)) <= most), "")
        return address, image.width > WIDE * image.height
