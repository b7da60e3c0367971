"""Decode the frames that a player displays at given moments, and few others."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from wholeframe.data.video.info import Clock, VideoInfo
from wholeframe.data.video.opened import Opened

Timed = tuple[float, VideoFrame | None]
"""The time at which a frame is first displayed, on the clock of the file in seconds, and the frame."""

END: Timed = (float("inf"), None)
WORTH = 0.5
"""Seconds to the next moment from which jumping to another key frame is faster than decoding on."""

LINGER = 1.25
"""Frames for which a frame may be displayed; at a constant rate it is 1."""

SPARED = ("h264", "mpeg4", "mpeg2video", "mpeg1video")
"""Codecs that mark the frames that no other frame refers to. (HEVC also marks frames that a higher layer refers to.)"""

SEEKABLE = frozenset(
    {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "mpegts", "mpeg", "mxf", "nut", "asf", "ogg", "wtv"}
)
"""Containers in which a marked key frame depends on no frame before it. All others are decoded from the beginning."""

FARTHEST = 16.0
"""Seconds before a moment beyond which no more key frames are tried; the file is then decoded from the beginning."""


class Decoder:
    """Decode a file at ascending times: the frame displayed at each, and the next one.

    Decoding begins at the last key frame before a moment, or at the beginning where a file cannot seek to one. A frame
    that no other refers to is skipped, unless it begins less than `LINGER` frames before one of the moments and may be
    displayed then.

    Args:
        video: the opened file.
        moments: the moments, ascending, on the clock of the file in seconds.
        info: the `video_info` of the file.

    Attributes:
        frame: the frame displayed at the current moment.
        began: when it was first displayed.
        following: the next frame.
        begins: when that is first displayed.
    """

    def __init__(self, video: Opened, moments: Sequence[float], info: VideoInfo):
        self.video, self.moments, self.info = video, moments, info
        self.linger = LINGER / info.fps
        self.seekable = info.clock != "count" and video.container.format.name in SEEKABLE
        # A frame that is skipped is not counted, so a clock that counts frames needs all of them.
        self.sparing = info.clock != "count" and video.stream.codec_context.name in SPARED
        self._enter(moments[0])

    def move(self, moment: float) -> None:
        """Advance to `moment`, the next of the moments."""
        if self.seekable and self.begins + WORTH < moment and self.begins < _key_before(self.video.stream, moment):
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
        self.began, self.frame = -np.inf, None
        self.decoded = self._from_key(moment) or self._from_start()
        self.begins, self.following = next(self.decoded, END)

    def _from_start(self) -> Iterator[Timed]:
        self.video.rewind()
        return self._timed(sought=False)

    def _from_key(self, moment: float) -> Iterator[Timed] | None:
        """The frames from the last key frame before a moment, or None if the file cannot seek to one.

        A key frame that is not decoded alone (the first of an intra refresh, or one after which frames of the previous
        group are displayed), one after the moment, and one at a time that is not among the known are not taken: the
        search goes on before them.
        """
        back = 0.0
        while self.seekable and moment - back > self.info.start + WORTH:
            try:
                seek(self.video, moment - back)
                frames = self._timed(sought=True)
                begins, frame = first = next(frames, END)
            except FFmpegError:  # Some files cannot seek, and in some it ends within a frame.
                self.seekable = False
                break
            known = self.info.keys is None or begins in self.info.keys
            if known and begins <= moment and frame is not None and _decoded_alone(frame):
                return chain([first], frames)
            back = max(2 * back, 1.0)
            self.seekable = back <= FARTHEST
        return None

    def _timed(self, *, sought: bool) -> Iterator[Timed]:
        needed = self._needed if self.sparing else None
        return timed(self.video, self.info.clock, 1 / self.info.fps, needed, sought, self.info.shown)

    def _needed(self, begins: float) -> bool:
        """Whether a frame that begins at this time may be displayed at one of the moments."""
        later = bisect_left(self.moments, begins)
        return later < len(self.moments) and self.moments[later] < begins + self.linger


def timed(
    video: Opened,
    clock: Clock,
    step: float,
    needed: Callable[[float], bool] | None = None,
    sought: bool = False,
    shown: Sequence[float] = (),
) -> Iterator[Timed]:
    """Decode frames in the order of display.

    Args:
        video: the opened file, at the beginning or where it was sought to.
        clock: which time of a frame counts, see `VideoInfo`.
        step: seconds from a frame to the next where the file gives no time.
        needed: whether to decode a frame that begins at this time although no other refers to it; by default all are.
        sought: whether the file was sought in. The packets before the first key frame are then of no use.
        shown: when each frame is displayed, if frames are counted and do not have a constant rate.

    Yields:
        The time at which a frame is first displayed, on the clock of the file in seconds, and the frame.
    """
    stream, length = video.stream, tick(video.stream)
    # After a seek, frames before the first with a time of its own are not displayed: their times are unknown.
    before, number, spared = -np.inf, 0, None
    guess = -np.inf if sought else (stream.start_time or 0) * length
    for packet in video.packets():
        if sought and not packet.is_keyframe:
            continue
        sought = False
        spare = needed is not None and clock == "pts" and packet.pts is not None and not needed(packet.pts * length)
        if spare != spared:
            stream.codec_context.skip_frame, spared = "NONREF" if spare else "DEFAULT", spare
        for frame in packet.decode():
            stamp = frame.pts if clock == "pts" else frame.dts if clock == "dts" else None
            if clock == "count":
                begins = shown[number] if number < len(shown) else number * step
            else:
                begins = guess if stamp is None else stamp * length
            number += 1
            if begins > before:
                yield begins, frame
                before, guess = begins, begins + step


def seek(video: Opened, clock: float) -> None:
    """Seek to the last key frame before a time on the clock of the file; in some files a little before or after it."""
    stream, video.moved = video.stream, True
    video.container.seek(max(round(clock / tick(stream)), stream.start_time or 0), stream=stream)


def tick(stream: VideoStream) -> float:
    """The unit of the times in a file, in seconds."""
    return float(stream.time_base or 1)


def _decoded_alone(frame: VideoFrame) -> bool:
    """Whether a frame refers to no other. Some decoders do not give the type of a picture."""
    alone = frame.pict_type == PictureType.I or (frame.pict_type == PictureType.NONE and frame.key_frame)
    return alone and not frame.is_corrupt


def _key_before(stream: VideoStream, clock: float) -> float:
    """The time of the last key frame before `clock` in the index of the file; -inf without an index entry."""
    index = stream.index_entries.search_timestamp(int(clock / tick(stream)))
    return stream.index_entries[index].timestamp * tick(stream) if index >= 0 else -np.inf
