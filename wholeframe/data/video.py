"""One video file: what it is, and the frames that are asked for. Nothing else of it is decoded or kept.

info = probe("wave.mp4")                    # 303 frames, 30 frames a second, 340 x 256
clip = read_frames("wave.mp4", [0, 2, 4])   # (3, 3, 256, 340) uint8
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

try:
    import av
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.stream import Disposition
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream
except ImportError as error:  # pragma: no cover
    raise ImportError("videos are decoded by PyAV, which is not installed: pip install 'wholeframe[video]'") from error

from wholeframe.data.cutting import Cutter
from wholeframe.data.part import Part

Backend = Literal["pyav", "torchcodec"]

Timed = tuple[float, VideoFrame | None]
"""A frame, and when it is first shown by the clock of the file, seconds."""

END: Timed = (float("inf"), None)
EPSILON = 1e-6  # seconds; below any clock of a container
WORTH = 0.5  # seconds; less is not worth a jump to another key frame


class VideoError(ValueError):
    """A file that is not a video that can be decoded; says which and why."""

    def __init__(self, path: str | os.PathLike[str], reason: str):
        super().__init__(f"'{os.fspath(path)}' is not a video that can be decoded ({reason})")
        self.path, self.reason = Path(path), reason

    def __reduce__(self):
        return type(self), (self.path, self.reason)  # worker processes send it home


@dataclass(frozen=True)
class VideoInfo:
    """What there is to read in a file.

    Attributes:
        path: the file.
        frames: how many there are, `seconds * fps` rounded.
        fps: frames per second, on average.
        seconds: from the first frame to the end of the last one that is there.
        height: of the picture as it is shown, rows.
        width: likewise, columns.
        rotation: quarter turns counter-clockwise from the picture as stored to the one shown, in degrees.
        start: the clock of the file at its first frame, seconds.
        lost: seconds that the header of the file promises and the file does not have (a broken download), or 0.
    """

    path: Path
    frames: int
    fps: float
    seconds: float
    height: int
    width: int
    rotation: int = 0
    start: float = 0.0
    lost: float = 0.0

    def times(self, indices: Sequence[int]) -> list[float]:
        """The middle of the time in which frame `index` is shown, in seconds from the first frame."""
        wrong = [index for index in indices if not 0 <= index < self.frames]
        if wrong:
            raise ValueError(f"'{self.path}' has frames 0 to {self.frames - 1}, and no frame {wrong[0]}")
        return [(index + 0.5) / self.fps for index in indices]


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Look at a file: its header, its first frame, and the times of its last packets.

    The rest is not read, unless the header promises more than there is. How many frames there are and how long they
    are is therefore what is in the file and not what its header says.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it holds no video that can be decoded; names the file and the reason.
    """
    with _opened(path) as (container, stream):
        rate = _rate(stream)
        start, first = next(_timed(container, stream), END)
        if first is None:
            raise VideoError(path, "it holds no frame")
        end = _end(container, stream)
        seconds = max(end - start, 1 / rate)
        turned = first.rotation % 180 == 90
        return VideoInfo(
            path=Path(path),
            frames=max(round(seconds * rate), 1),
            fps=rate,
            seconds=seconds,
            height=first.width if turned else first.height,
            width=first.height if turned else first.width,
            rotation=first.rotation % 360,
            start=start,
            lost=_lost(container, stream, end),
        )


def read_frames(
    path: str | os.PathLike[str],
    indices: Sequence[int] | None = None,
    *,
    times: Sequence[float] | None = None,
    part: Part | None = None,
    backend: Backend = "pyav",
    info: VideoInfo | None = None,
) -> Tensor:
    """The frames asked for, `(t, 3, h, w)` uint8 RGB, in the order asked for.

    The frame at a time is the one a player shows then: the last that begins no later. Frame `index` is the one shown
    in the middle of slot `index` of a clock that ticks `fps` times a second. Where the rate is constant that is the
    `index`-th frame; where it varies, frames are repeated and left out so that things move as fast as they did.

    The file is entered at the last key frame before a frame that is needed, and decoded onwards from there, so that
    time and memory depend on what is asked for and not on the length of the file. A frame is turned as the file says.

    Args:
        path: the file.
        indices: frames, from 0 to `info.frames - 1`; the same one may be asked for again.
        times: instead of `indices`, seconds from the first frame.
        part: what to read of a frame; all of it if not given, and clips of whole frames fill the memory. A part is cut
            and scaled before it becomes colours (`cutting`): `part.of` whole frames, but for a level or two of 255.
        backend: "torchcodec" gives the same frames; it has to be installed and takes FFmpeg's libraries.
        info: what `probe` said about the file, to save looking again.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it does not decode, or ends before a frame that was asked for.
        ValueError: a frame or a time outside of the video.
    """
    if (indices is None) == (times is None):
        raise ValueError("read_frames takes either indices or times")
    info = info or probe(path)
    if times is None:
        times = info.times(indices or ())
    outside = [time for time in times if not 0 <= time <= info.seconds]
    if outside:
        raise ValueError(f"'{path}' is {info.seconds:g} s long, and has nothing at {outside[0]:g} s")
    if not times:
        return torch.empty(0, 3, *(part.size if part else (info.height, info.width)), dtype=torch.uint8)
    return {"pyav": _by_pyav, "torchcodec": _by_torchcodec}[backend](path, info, times, part)


def _by_pyav(path: str | os.PathLike[str], info: VideoInfo, times: Sequence[float], part: Part | None) -> Tensor:
    wanted = sorted(set(times))
    write = Cutter(part, (info.height, info.width), info.rotation) if part else _Whole(info.rotation)
    pictures = _room(len(wanted), part.size if part else (info.height, info.width), planes=part is not None)
    shown = None
    with _opened(path) as (container, stream):
        for number, frame in enumerate(_shown(container, stream, info, wanted)):
            if frame is shown:
                pictures[number] = pictures[number - 1]
            else:
                write(frame, pictures[number])
            shown = frame
    if wanted == list(times):
        return pictures
    place = {time: number for number, time in enumerate(wanted)}
    return pictures[[place[time] for time in times]]


class _Whole:
    """Makes colours of frame after frame; one `VideoReformatter`: to set it up takes longer than a frame."""

    def __init__(self, rotation: int):
        self.turns, self.rgb = rotation // 90, VideoReformatter()

    def __call__(self, frame: VideoFrame, into: Tensor) -> None:
        picture = torch.from_numpy(self.rgb.reformat(frame, format="rgb24", threads=1).to_ndarray())
        into.copy_(torch.rot90(picture, self.turns).permute(2, 0, 1))


def _room(count: int, size: tuple[int, int], *, planes: bool) -> Tensor:
    """For `(count, 3, *size)`: a plane for each colour of a clip, or the colours of each pixel side by side.

    The first is what a network takes, the second what torchvision scales fastest.
    """
    if planes:
        return torch.empty(3, count, *size, dtype=torch.uint8).transpose(0, 1)
    return torch.empty(count, *size, 3, dtype=torch.uint8).movedim(-1, 1)


def _by_torchcodec(path: str | os.PathLike[str], info: VideoInfo, times: Sequence[float], part: Part | None) -> Tensor:
    try:
        from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]  # an optional package
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ImportError(f'backend="torchcodec" cannot run: {reason}. backend="pyav" gives the same frames') from error
    try:
        decoder = VideoDecoder(os.fspath(path), num_ffmpeg_threads=1)
        frames = decoder.get_frames_played_at([info.start + time for time in times]).data
    except (RuntimeError, ValueError, IndexError) as error:
        raise VideoError(path, str(error).strip().splitlines()[0]) from error
    return part.of(frames) if part else frames


# ------------------------------------------------------------------------------------ moving in a file


def _shown(
    container: InputContainer, stream: VideoStream, info: VideoInfo, times: Sequence[float]
) -> Iterator[VideoFrame]:
    """For ascending times, the frame shown then: always one frame ahead, to know when the next begins."""
    began, frame, begins, following, decoded = _enter(container, stream, info.start + times[0])
    for time in times:
        clock = info.start + time + EPSILON
        if begins + WORTH < clock and begins < _key_before(stream, clock):
            began, frame, begins, following, decoded = _enter(container, stream, clock)
        while begins <= clock:
            (began, frame), (begins, following) = (begins, following), next(decoded, END)
        if frame is None or (following is None and clock > began + 2.5 / info.fps):
            raise VideoError(info.path, f"it ends before {time:.2f} s, and should last {info.seconds:.2f} s")
        yield frame


def _enter(
    container: InputContainer, stream: VideoStream, clock: float, skim: bool = True
) -> tuple[float, VideoFrame | None, float, VideoFrame | None, Iterator[Timed]]:
    """The frame shown at `clock` and the one after it, when they begin, and those that follow.

    On the way there from the key frame, frames that no other frame refers to are left out up to a moment before. If
    nothing begins in that moment, one of them may have been the frame shown: then once more, with all of them.
    """
    moment = clock - WORTH if skim else -np.inf
    decoded = _from(container, stream, clock, moment)
    (began, frame), (begins, following) = next(decoded, END), next(decoded, END)
    while begins <= clock:
        (began, frame), (begins, following) = (begins, following), next(decoded, END)
    if began < moment:
        return _enter(container, stream, clock, skim=False)
    return began, frame, begins, following, decoded


def _from(container: InputContainer, stream: VideoStream, clock: float, skim: float) -> Iterator[Timed]:
    """Frames in order, the first of them shown no later than `clock` (if there is one)."""
    back = 0.0
    while True:
        _seek(container, stream, clock - back)
        frames = _timed(container, stream, skim)
        first = next(frames, END)
        if first[0] <= clock or clock - back < 0:
            return chain([first], frames)
        back = max(2 * back, 1.0)  # some files are entered at a key frame that is shown too late


def _timed(container: InputContainer, stream: VideoStream, skim: float = -np.inf) -> Iterator[Timed]:
    """Frames with the time at which they are first shown, by the clock of the file; before `skim` not all of them."""
    stored = container.format.name != "avi"  # AVI knows when frames are decoded, not when they are shown
    before, step, tick = -np.inf, 1 / _rate(stream), _tick(stream)
    for packet in container.demux(stream):
        if packet.is_corrupt:  # the last of a broken file is
            continue
        skips = stored and packet.pts is not None and packet.pts * tick < skim
        stream.codec_context.skip_frame = "NONREF" if skips else "DEFAULT"
        for frame in packet.decode():
            stamp = frame.pts if stored else frame.dts
            clock = before + step if stamp is None else stamp * tick
            if clock > before:
                yield clock, frame
                before = clock


def _seek(container: InputContainer, stream: VideoStream, clock: float) -> None:
    container.seek(max(round(clock / _tick(stream)), stream.start_time or 0), stream=stream)


def _key_before(stream: VideoStream, clock: float) -> float:
    """The time of the last key frame that the file's own index has before `clock`; -inf if it does not say."""
    index = stream.index_entries.search_timestamp(int(clock / _tick(stream)))
    return stream.index_entries[index].timestamp * _tick(stream) if index >= 0 else -np.inf


# -------------------------------------------------------------------------------------- what is there


def _end(container: InputContainer, stream: VideoStream) -> float:
    """Where the last packet ends: it is looked for near the end, and if nothing is there from the beginning."""
    for clock in (_promised(container, stream), 0.0):
        end = -np.inf
        try:
            _seek(container, stream, clock)
            for packet in container.demux(stream):
                end = max(end, _ending(packet, stream))
        except FFmpegError:  # broken off: what came before it counts
            pass
        if end > -np.inf:
            return end
    return -np.inf


def _ending(packet: av.Packet, stream: VideoStream) -> float:
    if packet.pts is None or packet.is_corrupt or not packet.size:
        return -np.inf
    return (packet.pts + (packet.duration or 0)) * _tick(stream)


def _promised(container: InputContainer, stream: VideoStream) -> float:
    """The end of the video that the header gives; that of the sound, if it lasts longer, where there is no other."""
    begin = (stream.start_time or 0) * _tick(stream)
    if stream.duration:
        return begin + stream.duration * _tick(stream)
    return begin + (container.duration or 0) / av.time_base


def _lost(container: InputContainer, stream: VideoStream, end: float) -> float:
    """Seconds that were promised, by the length or by the number of frames, and are not there."""
    if not stream.duration and len(container.streams) > 1:
        return 0.0  # nothing was promised for the video alone
    counted = (stream.start_time or 0) * _tick(stream) + stream.frames / _rate(stream)  # AVI corrects only the length
    lost = max(_promised(container, stream), counted) - end
    return lost if lost > 0.5 else 0.0


def _tick(stream: VideoStream) -> float:
    return float(stream.time_base or 1)


def _rate(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise ValueError("it does not say how many frames it has per second")
    return float(rate)


class _opened:
    """`with _opened(path) as (container, stream)`: what FFmpeg says about the file inside becomes a `VideoError`."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path

    def __enter__(self) -> tuple[InputContainer, VideoStream]:
        try:
            if os.path.getsize(self.path) == 0:
                raise VideoError(self.path, "the file is empty")
            # Metadata in another encoding than UTF-8 is no reason not to look at the pictures.
            self.container = av.open(os.fspath(self.path), metadata_errors="replace")
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file '{self.path}'") from None
        except (FFmpegError, OSError) as error:
            raise VideoError(self.path, _reason(error)) from error
        streams = [s for s in self.container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kinds = sorted({stream.type for stream in self.container.streams})
            self.container.close()
            raise VideoError(self.path, f"it holds {' and '.join(kinds) or 'nothing'}, and no video")
        streams[0].codec_context.thread_count = 1  # a loader has a process per core
        return self.container, streams[0]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.container.close()
        if isinstance(error, (FFmpegError, ValueError)) and not isinstance(error, VideoError):
            raise VideoError(self.path, _reason(error)) from error


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).rstrip(".") or type(error).__name__
