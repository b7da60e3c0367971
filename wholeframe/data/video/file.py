"""Read one video file: its length and size, and the requested frames. Nothing else is decoded or kept.

info = video_info("wave.mp4")               # 303 frames, 30 frames a second, 340 x 256
clip = read_frames("wave.mp4", [0, 2, 4])   # (3, 3, 256, 340) uint8
"""

import os
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

try:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
except ImportError as error:  # pragma: no cover
    raise ImportError("videos are decoded by PyAV, which is not installed: pip install 'wholeframe[video]'") from error

from wholeframe.data.video.decode import Decoder
from wholeframe.data.video.filters import RegionFilter
from wholeframe.data.video.frames_folder import check_folder, frames_info, read_folder
from wholeframe.data.video.info import VideoError, VideoInfo
from wholeframe.data.video.opened import Opened
from wholeframe.data.video.probe import probe
from wholeframe.data.video.region import Region
from wholeframe.messages import one_of

Backend = Literal["pyav", "torchcodec"]

EPSILON = 1e-6
"""Seconds; finer than the clock of any container, so that a rounded time is not before its frame."""


def video_info(path: str | os.PathLike[str], *, rate: float | None = None) -> VideoInfo:
    """Read the length and the size of a video.

    The length and the number of frames are those of the file, not those of its header. The header and the last packets
    suffice if the file has an index of all frames (MP4, QuickTime, AVI). Otherwise all packets are read, but not
    decoded. A file without times of display (a stream without a container) is decoded once, to count its frames.

    Args:
        path: the file, or a folder of numbered frames (`frames_folder`).
        rate: frames per second of a folder of frames, which stores none. A file stores its own.

    Returns:
        The length and the size of the video.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the file holds no video that can be decoded, or a folder of frames has no rate.
        ValueError: `rate` is given for a file.
    """
    if os.path.isdir(path):
        return frames_info(path, rate)
    if rate is not None:
        raise ValueError(f"'{path}' is a file, which stores its own frame rate; give rate={rate:g} for a folder alone")
    return probe(path)


def read_frames(
    path: str | os.PathLike[str],
    indices: Sequence[int] | None = None,
    *,
    times: Sequence[float] | None = None,
    region: Region | None = None,
    backend: Backend = "pyav",
    info: VideoInfo | None = None,
) -> Tensor:
    """Read the frames at some indices or times.

    The frame at a time is the one that a player displays then: the last that begins no later. The frame at an index is
    the one displayed in the middle of slot `index` of a clock that ticks `fps` times a second. At a constant frame rate
    that is frame `index` of the file. At a varying rate frames are repeated and dropped, so that the speed of motion is
    kept.

    Decoding begins at the last key frame before a needed frame, so time and memory depend on the request, not on the
    length of the file. The rotation stored in the file is applied. Frames of another size than the first, which some
    recordings have, are scaled to its size.

    Args:
        path: the file, or a folder of numbered frames; a folder needs its `info`, which has the rate.
        indices: frame numbers, from 0 to `info.frames - 1`, in any order, also repeated.
        times: instead of `indices`, seconds from the first frame.
        region: the region to read of every frame, scaled to `region.size`; by default the whole frame, which takes
            much memory for a long clip. A region is cropped and scaled before the conversion to RGB (`filters`), which
            differs from `region.of(frames)` by a level or two of 255.
        backend: the decoder. "torchcodec" gives the same frames, and needs torchcodec and the libraries of FFmpeg.
        info: the `video_info` of the file, which saves reading it again.

    Returns:
        `(t, 3, h, w)` uint8 RGB, in the order of the request.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: the backend is not installed.
        VideoError: the file does not decode, or ends before a requested frame.
        ValueError: a frame or a time is outside the video, or both or none of `indices` and `times` are given.
    """
    one_of("backend", backend, get_args(Backend))
    if (indices is None) == (times is None):
        raise ValueError(
            "read_frames takes either indices or times, not both or none of them; for example indices=[0, 2, 4]"
        )
    info = info or video_info(path)
    if times is None:
        times = info.times(indices or ())
    outside = [time for time in times if not 0 <= time <= info.seconds]
    if outside:
        raise ValueError(f"'{path}' is {info.seconds:g} s long, so it has no frame at {outside[0]:g} s")
    if not times:
        return torch.empty(0, 3, *(region.size if region else (info.height, info.width)), dtype=torch.uint8)
    if os.path.isdir(path):
        return read_folder(info, times, region)
    return {"pyav": _by_pyav, "torchcodec": _by_torchcodec}[backend](path, info, times, region)


def check_frames(info: VideoInfo) -> None:
    """Decode every frame of a video, as `read_frames` does, so that no clip of it fails later.

    Args:
        info: the `video_info` of the video.

    Raises:
        FileNotFoundError: the file is gone.
        VideoError: a frame cannot be read; the message gives the reason.
    """
    if info.path.is_dir():
        return check_folder(info)
    for _ in _shown(info.path, info, info.times(range(info.frames))):
        pass


def _by_pyav(path: str | os.PathLike[str], info: VideoInfo, times: Sequence[float], region: Region | None) -> Tensor:
    wanted = sorted(set(times))
    write = RegionFilter(region, (info.height, info.width), info.rotation) if region else _WholeFrame(info)
    frames = _empty(len(wanted), region.size if region else (info.height, info.width), planes=region is not None)
    shown = None
    for number, frame in enumerate(_shown(path, info, wanted)):
        if frame is shown:
            frames[number] = frames[number - 1]
        else:
            write(frame, frames[number])
        shown = frame
    if wanted == list(times):
        return frames
    position = {time: number for number, time in enumerate(wanted)}
    return frames[[position[time] for time in times]]


def _shown(path: str | os.PathLike[str], info: VideoInfo, times: Sequence[float]) -> Iterator[VideoFrame]:
    """The frame displayed at each of some ascending times, in seconds from the first frame."""
    moments = [info.start + time + EPSILON for time in times]
    with Opened(path) as video:
        decoder = Decoder(video, moments, info)
        for time, moment in zip(times, moments, strict=True):
            decoder.move(moment)
            frame = decoder.frame
            if frame is None or _cut_off(decoder, moment, info):
                raise VideoError(path, f"it ends before {time:.2f} s, but should last {info.seconds:.2f} s")
            yield frame


def _cut_off(decoder: Decoder, moment: float, info: VideoInfo) -> bool:
    """Whether the frames end, well before a moment, at another frame than the last of `info`."""
    tolerated = 2.5 / info.fps
    before_last = decoder.began < info.start + info.last - tolerated
    return decoder.following is None and before_last and moment > decoder.began + tolerated


class _WholeFrame:
    """Convert many frames to RGB with one `VideoReformatter`, because its setup takes longer than a frame.

    Frames of another size than the first are scaled to it.
    """

    def __init__(self, info: VideoInfo):
        self.turns = info.rotation // 90 if info.rotation % 90 == 0 else 0
        self.height, self.width = (info.width, info.height) if self.turns % 2 else (info.height, info.width)
        self.rgb = VideoReformatter()

    def __call__(self, frame: VideoFrame, into: Tensor) -> None:
        rgb = self.rgb.reformat(frame, self.width, self.height, format="rgb24", interpolation="BILINEAR", threads=1)
        image = torch.from_numpy(rgb.to_ndarray())
        into.copy_(torch.rot90(image, self.turns).permute(2, 0, 1))


def _empty(count: int, size: tuple[int, int], *, planes: bool) -> Tensor:
    """Memory for `(count, 3, *size)`: with a plane per colour of the clip, or with the colours of a pixel adjacent.

    A network reads the former, and torchvision scales the latter fastest.
    """
    if planes:
        return torch.empty(3, count, *size, dtype=torch.uint8).transpose(0, 1)
    return torch.empty(count, *size, 3, dtype=torch.uint8).movedim(-1, 1)


def _by_torchcodec(
    path: str | os.PathLike[str], info: VideoInfo, times: Sequence[float], region: Region | None
) -> Tensor:
    try:
        from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]  # An optional package.
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ImportError(f'backend="torchcodec" cannot run: {reason}. backend="pyav" gives the same frames') from error
    try:
        decoder = VideoDecoder(os.fspath(path), num_ffmpeg_threads=1)
        frames = decoder.get_frames_played_at([info.start + time for time in times]).data
    except (RuntimeError, ValueError, IndexError) as error:
        raise VideoError(path, str(error).strip().splitlines()[0]) from error
    return region.of(frames) if region else frames
