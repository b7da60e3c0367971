"""Which files are videos, by their extension."""

from collections.abc import Iterable
from pathlib import Path

# PyAV opens these formats. The list is ours, because FFmpeg also opens images and text.
EXTENSIONS = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob"}
    | {".webm", ".wmv"}
)


def by_extension(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The videos and the other entries, each sorted. Hidden files are in neither."""
    videos: list[Path] = []
    others: list[Path] = []
    for file in sorted(files):
        if not file.name.startswith("."):
            (videos if file.suffix.lower() in EXTENSIONS and file.is_file() else others).append(file)
    return videos, others
