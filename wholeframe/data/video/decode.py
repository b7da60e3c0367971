"""Decode the frames that a player displays at given moments, and few others."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

Timed = tuple[float, VideoFrame | None]
"""The time at which a frame is first displayed, on the clock of the file in seconds, and the frame."""

END: Timed = (float("inf"), None)
WORTH = 0.5
"""Seconds to the next moment from which jumping to another key frame is faster than decoding on."""

LINGER = 1.25
"""Frames for which a frame may be displayed; at a constant rate it is 1."""

SPARED = ("h264", "mpeg4", "mpeg2video", "mpeg1video")
"""Codecs that mark the frames that no other frame refers to. (HEVC also marks frames that a higher layer refers to.)"""


class Decoder:
    """Decode a file at ascending times: the frame displayed at each, and the next one.

    Decoding begins at the last key frame before a moment. A frame that no other refers to is skipped, unless it begins
    less than `LINGER` frames before one of the moments and may be displayed then.

    Args:
        container: the opened file.
        stream: its video stream.
        moments: the moments, ascending, on the clock of the file in seconds.
        fps: frames per second, on average.

    Attributes:
        frame: the frame displayed at the current moment.
        began: when it was first displayed.
        following: the next frame.
        begins: when that is first displayed.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, moments: Sequence[float], fps: float):
        self.container, self.stream, self.moments = container, stream, moments
        self.linger = LINGER / fps
        self.sparing = stream.codec_context.name in SPARED
        self._enter(moments[0])

    def move(self, moment: float) -> None:
        """Advance to `moment`, the next of the moments."""
        if self.begins + WORTH < moment and self.begins < _key_before(self.stream, moment):
            self._enter(moment)
        self._play(moment)
        if self.sparing and self.began < moment - self.linger:
            # Either the frame is displayed for long, or a frame after it was skipped: decode again without skipping.
            self.sparing = False
            self._enter(moment)
            self._play(moment)

    def _play(self, moment: float) -> None:
        while self.begins <= moment:
            self.began, self.frame = self.begins, self.following
            self.begins, self.following = next(self.decoded, END)

    def _enter(self, moment: float) -> None:
        back = 0.0
        while True:
            seek(self.container, self.stream, moment - back)
            frames = timed(self.container, self.stream, self._needed if self.sparing else None)
            first = next(frames, END)
            if first[0] <= moment or moment - back < 0:
                break
            back = max(2 * back, 1.0)  # Some files seek to a key frame after the moment.
        self.began, self.frame = -np.inf, None
        self.decoded = chain([first], frames)
        self.begins, self.following = next(self.decoded)

    def _needed(self, begins: float) -> bool:
        """Whether a frame that begins at this time may be displayed at one of the moments."""
        later = bisect_left(self.moments, begins)
        return later < len(self.moments) and self.moments[later] < begins + self.linger


def timed(
    container: InputContainer, stream: VideoStream, needed: Callable[[float], bool] | None = None
) -> Iterator[Timed]:
    """Decode frames in the order of display.

    Args:
        container: the opened file, at a key frame.
        stream: its video stream.
        needed: whether to decode a frame that begins at this time although no other refers to it; by default all are.

    Yields:
        The time at which a frame is first displayed, on the clock of the file in seconds, and the frame.
    """
    stored = container.format.name != "avi"  # AVI stores when frames are decoded, not when they are displayed.
    before, step, length = -np.inf, 1 / average_rate(stream), tick(stream)
    spared = None
    for packet in container.demux(stream):
        if packet.is_corrupt:  # The last packet of a truncated file is.
            continue
        spare = needed is not None and stored and packet.pts is not None and not needed(packet.pts * length)
        if spare != spared:
            stream.codec_context.skip_frame, spared = "NONREF" if spare else "DEFAULT", spare
        for frame in packet.decode():
            stamp = frame.pts if stored else frame.dts
            clock = before + step if stamp is None else stamp * length
            if clock > before:
                yield clock, frame
                before = clock


def seek(container: InputContainer, stream: VideoStream, clock: float) -> None:
    """Seek to the last key frame before a time on the clock of the file; in some files a little before or after it."""
    container.seek(max(round(clock / tick(stream)), stream.start_time or 0), stream=stream)


def tick(stream: VideoStream) -> float:
    """The unit of the times in a file, in seconds."""
    return float(stream.time_base or 1)


def average_rate(stream: VideoStream) -> float:
    """Frames per second, on average; ValueError if the file does not give them."""
    known = stream.average_rate or stream.guessed_rate
    if not known:
        raise ValueError("it does not give its frame rate")
    return float(known)


def _key_before(stream: VideoStream, clock: float) -> float:
    """The time of the last key frame before `clock` in the index of the file; -inf without an index entry."""
    index = stream.index_entries.search_timestamp(int(clock / tick(stream)))
    return stream.index_entries[index].timestamp * tick(stream) if index >= 0 else -np.inf
