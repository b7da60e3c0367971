"""A video file that is open: its container and its video stream, and the way back to the beginning."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from wholeframe.data.video.formats import open_container, video_stream
from wholeframe.data.video.info import VideoError

LARGEST = 2**26
"""Pixels of a frame, twice those of 8K video. A damaged header may announce more than fits into memory."""


class Opened:
    """`with Opened(path) as video`: an error of FFmpeg inside the block becomes a `VideoError`.

    Attributes:
        container: the container, at the beginning of the file until it is read.
        stream: its video stream.
        moved: whether the container has been read or sought in, so that it is no longer at the beginning.
    """

    container: InputContainer
    stream: VideoStream
    moved: bool

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path

    def __enter__(self) -> Self:
        try:
            if os.path.getsize(self.path) == 0:
                raise VideoError(self.path, "the file is empty")
            self._open()
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file '{self.path}'") from None
        except VideoError:
            raise
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(self.path, _reason(error)) from error
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self.container.close()
        if isinstance(error, (FFmpegError, ValueError)) and not isinstance(error, VideoError):
            raise VideoError(self.path, _reason(error)) from error

    def rewind(self) -> None:
        """Return to the beginning. Opening again is exact in every format; seeking to the beginning is not."""
        if self.moved:
            self.container.close()
            self._open()

    def packets(self) -> Iterator[av.Packet]:
        """The packets of the video, and then an empty one that makes the decoder return its last frames.

        A damaged packet at the end is that of a truncated file, and is left out. Elsewhere it is decoded: it is marked
        wherever recordings are joined, too. Empty packets repeat the frame before them.
        """
        self.moved, damaged = True, None
        for packet in self.container.demux(self.stream):
            last = not packet.size and packet.dts is None
            if damaged is not None and not last:
                yield damaged
            damaged = packet if packet.is_corrupt else None
            if last or (packet.size and damaged is None):
                yield packet

    def _open(self) -> None:
        self.container = open_container(self.path)
        try:
            self.stream = video_stream(self.container)
            size = self.stream.codec_context
            if size.width * size.height > LARGEST:
                raise ValueError(f"its frames of {size.width} x {size.height} have more than {LARGEST} pixels")
            size.options = {"max_pixels": str(LARGEST)}
        except ValueError:
            self.container.close()
            raise
        size.thread_count = 1  # A loader runs one process per core.
        self.moved = False


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).rstrip(".") or type(error).__name__
