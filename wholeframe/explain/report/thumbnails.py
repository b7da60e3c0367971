"""Pictures of a bounded size inside a report."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image

from wholeframe.explain.page.pictures import as_text
from wholeframe.explain.report.content import Picture

ALL, EACH = 2_000_000, 160_000
"""The most characters of all pictures together, and of one."""

LONGEST = (1600, 1200, 900, 700, 500, 350, 250)
"""Pixels of the longer side: the first that is small enough."""


def thumbnails(pictures: Sequence[Picture]) -> list[tuple[Picture, str]]:
    """Every picture with its `data:` address, which is empty for one that is too large in any of the sizes."""
    most = min(EACH, ALL // max(len(pictures), 1))
    return [(picture, _thumbnail(picture.file, picture.file.stat().st_mtime_ns, most)) for picture in pictures]


@lru_cache(maxsize=1024)
def _thumbnail(file: Path, _written: int, most: int) -> str:
    """A report is written after every training, and its pictures stay the same."""
    with Image.open(file) as image:
        image.load()
        return next((text for side in LONGEST if len(text := as_text(image, side)) <= most), "")
