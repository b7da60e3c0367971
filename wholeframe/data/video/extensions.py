"""Which files and folders are videos: by content, and by suffix where the content is damaged."""

import os
from collections.abc import Iterable
from pathlib import Path

from wholeframe.data.video.formats import is_video_file
from wholeframe.data.video.frames_folder import is_frames_folder

EXTENSIONS = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".gxf", ".h264", ".h265", ".hevc", ".ivf"}
    | {".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mod", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)
"""Suffixes of videos. A file with another suffix is a video too if its content is."""


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a video: a file by its content, whatever its suffix, or a folder of numbered frames.

    The head of the file is read, but no frame; `video_info` then says whether it decodes.

    Args:
        path: a file or a folder.
    """
    return is_frames_folder(path) if os.path.isdir(path) else is_video_file(path)


def videos_among(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The videos and the other entries, each sorted. Hidden entries are in neither.

    A file with the suffix of a video is among the videos although its content may be damaged, so that reading it gives
    the reason.

    Args:
        paths: files and folders.
    """
    videos: list[Path] = []
    others: list[Path] = []
    for path in sorted(paths):
        if not path.name.startswith("."):
            named = path.suffix.lower() in EXTENSIONS and path.is_file()
            (videos if named or is_video(path) else others).append(path)
    return videos, others
