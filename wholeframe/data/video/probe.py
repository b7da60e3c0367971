"""Read the length and the size of a video file.

Every frame is decoded only if the file has no times of display; the packets of all frames are read, but not decoded, if
it has no index of them.
"""

import os
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from wholeframe.data.video.decode import END, tick, timed
from wholeframe.data.video.info import Clock, VideoError, VideoInfo
from wholeframe.data.video.length import (
    Packets,
    all_packets,
    announced_seconds,
    constant_rate,
    last_packets,
    listed_frames,
    missing_seconds,
    rate_of,
)
from wholeframe.data.video.opened import Opened

TIMED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "mpegts", "mpeg", "ogg", "ivf", "gif", "apng"})
"""Containers that store when a frame is displayed."""

USUALLY_TIMED = frozenset({"mxf", "asf", "nut", "wtv", "rm", "smk", "flic"})
"""Containers that store it, but where some writers store when the frame is decoded."""

STREAMED = frozenset({"mpeg", "mpegts"})
"""Containers that store the time of some frames, from which FFmpeg infers those of the others."""


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Read the length and the size of a video file.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the file holds no video that can be decoded.
    """
    with Opened(path) as video:
        frames = listed_frames(video)
        start, first = next(timed(video, "dts" if video.container.format.name == "avi" else "pts", 0.0), END)
        if first is None:
            raise VideoError(path, "it has no frames")
        packets = last_packets(video) if frames else Packets()
        skipped = start > ((video.stream.start_time or 0) + 0.5) * tick(video.stream)
        if skipped or not packets.shown or listed_frames(video) is None:
            # The first frames cannot be decoded, or the file is truncated or continues in fragments.
            frames, packets = None, all_packets(video)
        clock = _clock(video, packets)
        if clock == "count":
            return _counted(video, path, first, packets)
        return _measured(video, path, first, start, clock, packets, frames)


def _measured(
    video: Opened,
    path: str | os.PathLike[str],
    first: VideoFrame,
    start: float,
    clock: Clock,
    packets: Packets,
    frames: int | None,
) -> VideoInfo:
    """The length by the times of the packets."""
    unit = tick(video.stream)
    times, end = packets.times(clock) * unit, packets.end(clock) * unit
    latest = float(np.nanmax(times))
    begin = start
    if clock == "dts":  # The decoder returns the first frame when it is given a later packet.
        listed = (entry.timestamp for entry in video.stream.index_entries if entry.size)
        begin = next(listed) * unit if frames else float(times[0])
    if frames is None:
        frames = int((times > begin - unit / 2).sum())
    if end <= latest:  # The last packet has no duration: it is that of the others.
        end = latest + ((latest - begin) / (frames - 1) if frames > 1 else announced_seconds(video))
    seconds = end - begin
    shown: tuple[float, ...] = ()
    if clock == "dts" and start > begin + unit / 2 and round(seconds / unit) != frames:
        # Frames were dropped while recording, and the decoder returns each frame at the time of a later packet.
        stamps = [entry.timestamp * unit for entry in video.stream.index_entries if entry.size]
        clock, start, shown = "count", begin, tuple(stamps if len(stamps) == frames else times.tolist())
    fps = rate_of(video.stream, frames, seconds)
    seconds = seconds or 1 / fps
    return _info(
        path,
        first,
        frames=max(round(seconds * fps), 1),
        fps=fps,
        seconds=seconds,
        start=start,
        last=latest - begin,
        lost=missing_seconds(video, end, frames, fps),
        clock=clock,
        shown=shown,
        keys=_keys(video, packets, unit),
    )


def _keys(video: Opened, packets: Packets, unit: float) -> frozenset[float] | None:
    """The times of the key frames of a stream in which not every frame stores its time; none if most frames are."""
    if video.container.format.name not in STREAMED:
        return None
    # The time of a frame after a seek may be that of its neighbour, which is found only if that is not a key frame.
    few = 2 * len(packets.keys) <= len(packets.shown)
    return frozenset(key * unit for key in packets.keys) if few else frozenset()


def _counted(video: Opened, path: str | os.PathLike[str], first: VideoFrame, packets: Packets) -> VideoInfo:
    """The length by decoding every frame, at a constant rate."""
    video.rewind()
    frames, complete = 0, True
    try:
        for _ in timed(video, "count", 1.0):
            frames += 1
    except FFmpegError:  # The frames before the error count.
        complete = False
    fps = constant_rate(video, packets, frames)
    lost = 0.0 if complete else max(len(packets.shown) - frames, 0) / fps
    return _info(
        path, first, frames=frames, fps=fps, seconds=frames / fps, last=(frames - 1) / fps, lost=lost, clock="count"
    )


def _info(path: str | os.PathLike[str], first: VideoFrame, **length) -> VideoInfo:
    turned = first.rotation % 180 == 90
    return VideoInfo(
        path=Path(path),
        height=first.width if turned else first.height,
        width=first.height if turned else first.width,
        rotation=first.rotation % 360,
        **length,
    )


def _clock(video: Opened, packets: Packets) -> Clock:
    """Which time of a frame counts, by the container and by the packets that were read."""
    name = video.container.format.name
    if name == "avi":
        return "dts"
    times = packets.times("pts")
    if name not in TIMED | USUALLY_TIMED or np.isnan(times).any() or len(np.unique(times)) < len(times):
        return "count"
    if (np.diff(packets.keys) <= 0).any():
        return "count"  # The clock starts again where recordings are joined.
    in_order = len(times) > 1 and bool((np.diff(times) > 0).all())
    if name in USUALLY_TIMED and in_order and video.stream.codec_context.reorder_depth:
        return "count"  # Frames that are decoded in another order than they are displayed have ascending times.
    return "pts"
