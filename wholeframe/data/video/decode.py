"""What a player of a video file shows at given moments, decoding little more than that."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

Timed = tuple[float, VideoFrame | None]
"""A frame, and when it is first shown by the clock of the file, seconds."""

END: Timed = (float("inf"), None)
WORTH = 0.5  # seconds; less is not worth a jump to another key frame
LINGER = 1.25  # frames; at a constant rate a frame is shown for one

SPARED = ("h264", "mpeg4", "mpeg2video", "mpeg1video")
"""Codecs that say of a frame that no other refers to it. (HEVC says so of frames that a higher layer may refer to.)"""


class Player:
    """Stands at a moment of a file: the frame shown then and since when, and the one that follows.

    The file is entered at the last key frame before a moment, and decoded onwards from there. A frame that no other
    refers to is left out, unless it begins less than `LINGER` frames before one of the moments and may be shown then.

    Args:
        moments: where it will stand, ascending, by the clock of the file, seconds.
        fps: frames per second, on average.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, moments: Sequence[float], fps: float):
        self.container, self.stream, self.moments = container, stream, moments
        self.linger = LINGER / fps
        self.sparing = stream.codec_context.name in SPARED
        self._enter(moments[0])

    def move(self, moment: float) -> None:
        """Go on to the next of the moments."""
        if self.begins + WORTH < moment and self.begins < _key_before(self.stream, moment):
            self._enter(moment)
        self._play(moment)
        if self.sparing and self.began < moment - self.linger:
            # A frame that is shown for long; or what was shown after it was left out. Once more, with all of them.
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
            back = max(2 * back, 1.0)  # some files are entered at a key frame that is shown too late
        self.began, self.frame = -np.inf, None
        self.decoded = chain([first], frames)
        self.begins, self.following = next(self.decoded)

    def _needed(self, begins: float) -> bool:
        """Whether a frame that begins then may be shown at one of the moments."""
        later = bisect_left(self.moments, begins)
        return later < len(self.moments) and self.moments[later] < begins + self.linger


def timed(
    container: InputContainer, stream: VideoStream, needed: Callable[[float], bool] | None = None
) -> Iterator[Timed]:
    """Frames in order, with the time at which they are first shown, by the clock of the file.

    needed: whether a frame that begins at a time is wanted although no other refers to it; all are without it.
    """
    stored = container.format.name != "avi"  # AVI knows when frames are decoded, not when they are shown
    before, step, length = -np.inf, 1 / rate(stream), tick(stream)
    spared = None
    for packet in container.demux(stream):
        if packet.is_corrupt:  # the last of a broken file is
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
    """Go to the last key frame before a time by the clock of the file; a little before or behind it in some files."""
    container.seek(max(round(clock / tick(stream)), stream.start_time or 0), stream=stream)


def tick(stream: VideoStream) -> float:
    """The unit of the times of a file, seconds."""
    return float(stream.time_base or 1)


def rate(stream: VideoStream) -> float:
    """Frames per second, on average. ValueError if the file does not say."""
    known = stream.average_rate or stream.guessed_rate
    if not known:
        raise ValueError("it does not say how many frames it has per second")
    return float(known)


def _key_before(stream: VideoStream, clock: float) -> float:
    """The time of the last key frame that the file's own index has before `clock`; -inf if it does not say."""
    index = stream.index_entries.search_timestamp(int(clock / tick(stream)))
    return stream.index_entries[index].timestamp * tick(stream) if index >= 0 else -np.inf
