"""Check every file of a folder of videos: the length and size of each that decodes, and why the others do not."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wholeframe.data.video.file import VideoError, VideoInfo, check_frames, video_info
from wholeframe.data.video.segments import LeftOut
from wholeframe.messages import counted, listed


def infos_of(
    root: Path, files: Sequence[Path], *, rate: float | None = None, every_frame: bool = False
) -> tuple[dict[Path, VideoInfo], tuple[LeftOut, ...]]:
    """The info of each video that decodes, and the reasons why the others do not.

    Args:
        root: the folder that the names in reasons are relative to.
        files: files, and folders of frames.
        rate: frames per second of the folders of frames.
        every_frame: decode each video as a whole, so that what can be read later is known now.
    """

    def info_or_error(file: Path) -> VideoInfo | VideoError:
        try:
            info = video_info(file, rate=rate if file.is_dir() else None)
            if every_frame:
                check_frames(info)
            return info
        except VideoError as error:
            return error

    with ThreadPoolExecutor() as threads:
        read = list(threads.map(info_or_error, files))
    infos = {file: info for file, info in zip(files, read, strict=True) if isinstance(info, VideoInfo)}
    bad = {file: error for file, error in zip(files, read, strict=True) if isinstance(error, VideoError)}
    names = relative_names(root, bad)
    return infos, tuple(LeftOut(name, error.reason) for name, error in zip(names, bad.values(), strict=True))


def truncation_notes(infos: Iterable[VideoInfo]) -> tuple[str, ...]:
    """A note about the files that end before their header says; empty if there are none."""
    truncated = [f"'{info.path.name}' ({info.lost:.1f} s)" for info in infos if info.lost]
    if not truncated:
        return ()
    return (f"{counted(len(truncated), 'truncated file')} used up to the missing end: {listed(truncated)}",)


def relative_names(root: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """The paths relative to `root`; whole paths for files elsewhere."""
    return tuple(file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file) for file in files)
