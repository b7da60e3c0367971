"""The length of a video file: its frames, their rate, the end of the last, and what is missing."""

from array import array
from dataclasses import dataclass, field

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from wholeframe.data.video.decode import seek, tick
from wholeframe.data.video.info import Clock
from wholeframe.data.video.opened import Opened


@dataclass
class Packets:
    """The times of the packets of a video, in units of the file; `absent` where a packet has none.

    Attributes:
        shown: when the frame of each packet is displayed, in the order of the file.
        decoded: when it is decoded.
        ends: when the last frame ends, by the display and by the decoding.
        first: the duration of the first packet; 0 where it has none.
        keys: when the key frames are displayed.
    """

    shown: array = field(default_factory=lambda: array("d"))
    decoded: array = field(default_factory=lambda: array("d"))
    ends: tuple[float, float] = (-np.inf, -np.inf)
    first: float = 0.0
    keys: array = field(default_factory=lambda: array("d"))

    def add(self, packet: av.Packet) -> None:
        shown, decoded = (np.nan if time is None else time for time in (packet.pts, packet.dts))
        length = packet.duration or 0
        if not self.shown:
            self.first = length
        if packet.is_keyframe:
            self.keys.append(shown)
        self.shown.append(shown)
        self.decoded.append(decoded)
        self.ends = (np.fmax(self.ends[0], shown + length), np.fmax(self.ends[1], decoded + length))

    def times(self, clock: Clock) -> np.ndarray:
        return np.array(self.decoded if clock == "dts" else self.shown)

    def end(self, clock: Clock) -> float:
        return self.ends[clock == "dts"]


def all_packets(video: Opened) -> Packets:
    """The times of all packets, read without decoding; in a damaged file those before the first error."""
    video.rewind()
    return _read(video)


def last_packets(video: Opened) -> Packets:
    """The times of the packets near the announced end."""
    try:
        seek(video, _announced(video))
    except FFmpegError:
        return Packets()
    return _read(video)


def _read(video: Opened) -> Packets:
    packets, hidden = Packets(), video.stream.codec_context.name in ("vp8", "libvpx")
    try:
        for packet in video.packets():
            if packet.is_discard or not packet.size:
                continue
            if hidden and not memoryview(packet)[0] >> 4 & 1:
                continue  # VP8 has packets that only later frames refer to. A bit of the frame header says so.
            packets.add(packet)
    except FFmpegError:  # In a truncated file the packets before the error count.
        pass
    return packets


def listed_frames(video: Opened) -> int | None:
    """The frames in the file by its index, if that lists every frame (MP4, QuickTime and AVI); otherwise None."""
    stream, size = video.stream, video.container.size
    if not stream.frames or len(stream.index_entries) != stream.frames:
        return None
    return sum(
        not entry.is_discard and entry.size > 0 and entry.pos + entry.size <= size for entry in stream.index_entries
    )


def rate_of(stream: VideoStream, frames: int, seconds: float) -> float:
    """Frames per second: the rate that the file gives if it agrees with its frames, or else their average.

    `seconds` is 0 for a single frame without a duration.
    """
    given = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    if seconds > 0:
        return next((rate for rate in given if abs(rate * seconds - frames) < 0.5), frames / seconds)
    return _known(given)


def constant_rate(video: Opened, packets: Packets, frames: int) -> float:
    """Frames per second of a file without usable times: the rate that agrees with its length, or that of its codec."""
    stream, seconds = video.stream, (video.container.duration or 0) / av.time_base
    coded = 1 / (packets.first * tick(stream)) if packets.first else None
    given = [float(rate) for rate in (coded, stream.guessed_rate, stream.average_rate) if rate]
    return next((rate for rate in given if abs(rate * seconds - frames) < 1), _known(given))


def _known(rates: list[float]) -> float:
    if not rates:
        raise ValueError("it does not give its frame rate")
    return rates[0]


def missing_seconds(video: Opened, end: float, frames: int, fps: float) -> float:
    """Seconds that the header announces, by length or number of frames, and that the file does not hold.

    Args:
        video: the opened file.
        end: where the last frame ends, on the clock of the file in seconds.
        frames: the frames in the file.
        fps: frames per second.
    """
    stream, container = video.stream, video.container
    if container.format.name == "avi" and stream.frames:
        lost = stream.frames * tick(stream) - end  # For a truncated AVI, FFmpeg corrects the length, but not this.
    elif stream.frames:
        hidden = sum(entry.is_discard for entry in stream.index_entries)  # They come before the edit list begins.
        lost = (stream.frames - hidden - frames) / fps
    elif not stream.duration and len(container.streams) > 1:
        return 0.0  # The header gives only the length of video and sound together.
    else:
        # Some formats give the end on the clock of the file and some the length: a late start alone is not a loss.
        lost = announced_seconds(video) - (end - min((stream.start_time or 0) * tick(stream), 0))
    return lost if 0.5 < lost < np.inf else 0.0


def _announced(video: Opened) -> float:
    """The end that the header gives, on the clock of the file in seconds."""
    return (video.stream.start_time or 0) * tick(video.stream) + announced_seconds(video)


def announced_seconds(video: Opened) -> float:
    """Seconds of the video by the header, or else of the whole file, whose sound may be longer."""
    if video.stream.duration:
        return video.stream.duration * tick(video.stream)
    return (video.container.duration or 0) / av.time_base
