"""One video file: what it is, and the frames that are asked for. Nothing else of it is decoded or kept.

info = probe("wave.mp4")                    # 303 frames, 30 frames a second, 340 x 256
clip = read_frames("wave.mp4", [0, 2, 4])   # (3, 3, 256, 340) uint8
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
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

from wholeframe.data.video.decode import END, Player, rate, seek, tick, timed
from wholeframe.data.video.filters import Cutter
from wholeframe.data.video.region import Part

Backend = Literal["pyav", "torchcodec"]

EPSILON = 1e-6  # seconds; below any clock of a container


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
        fps = rate(stream)
        start, first = next(timed(container, stream), END)
        if first is None:
            raise VideoError(path, "it holds no frame")
        end = _end(container, stream)
        seconds = max(end - start, 1 / fps)
        turned = first.rotation % 180 == 90
        return VideoInfo(
            path=Path(path),
            frames=max(round(seconds * fps), 1),
            fps=fps,
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
    moments, shown = [info.start + time + EPSILON for time in wanted], None
    with _opened(path) as (container, stream):
        player = Player(container, stream, moments, info.fps)
        for number, moment in enumerate(moments):
            player.move(moment)
            frame = player.frame
            if frame is None or (player.following is None and moment > player.began + 2.5 / info.fps):
                raise VideoError(path, f"it ends before {wanted[number]:.2f} s, and should last {info.seconds:.2f} s")
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
        self.turns, self.rgb = rotation // 90 if rotation % 90 == 0 else 0, VideoReformatter()

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


# -------------------------------------------------------------------------------------- what is there


def _end(container: InputContainer, stream: VideoStream) -> float:
    """Where the last packet ends: it is looked for near the end, and if nothing is there from the beginning."""
    for clock in (_promised(container, stream), 0.0):
        end = -np.inf
        try:
            seek(container, stream, clock)
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
    return (packet.pts + (packet.duration or 0)) * tick(stream)


def _promised(container: InputContainer, stream: VideoStream) -> float:
    """The end of the video that the header gives; that of the sound, if it lasts longer, where there is no other."""
    begin = (stream.start_time or 0) * tick(stream)
    if stream.duration:
        return begin + stream.duration * tick(stream)
    return begin + (container.duration or 0) / av.time_base


def _lost(container: InputContainer, stream: VideoStream, end: float) -> float:
    """Seconds that were promised, by the length or by the number of frames, and are not there."""
    if not stream.duration and len(container.streams) > 1:
        return 0.0  # nothing was promised for the video alone
    counted = (stream.start_time or 0) * tick(stream) + stream.frames / rate(stream)  # AVI corrects only the length
    lost = max(_promised(container, stream), counted) - end
    return lost if lost > 0.5 else 0.0


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
