"""Answers over the time of a video: its segments of some seconds, each read as a video of its own. Needs PyAV."""

import dataclasses
import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from wholeframe.data.video.crops import fixed_crops
from wholeframe.data.video.dataset import frames_of
from wholeframe.data.video.file import read_frames, video_info
from wholeframe.data.video.info import VideoInfo
from wholeframe.data.video.segments import Segment
from wholeframe.data.video.views import Views
from wholeframe.train.inputs.clips import Clips

SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Part(NamedTuple):
    """A segment of a video, seconds from its first frame."""

    start: float
    end: float
    short: bool
    """whether it has fewer frames than a clip covers, so that frames are repeated"""
    read: Callable[[], Tensor]
    """reads its views, `(v, 3, t, h, w)` uint8"""


def seconds(text: str) -> float:
    """Parse a length of time, such as `2s`, `0.5`, `500ms` or `1min`; ValueError for another form, and for none."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", text)
    if not match or match[2] not in SECONDS or not float(match[1]):
        raise ValueError(
            f"--every {text!r} is not a length of time above 0; give seconds, such as 2s, or 500ms, or 1min"
        )
    return float(match[1]) * SECONDS[match[2]]


def parts_of(file: Path, every: float, data: Clips, views: Views) -> list[Part]:
    """The segments of a video.

    Args:
        file: the video.
        every: seconds from the start of a segment to that of the next. The last one has what is left, up to twice as
            long, and a shorter video has one segment.
        data: how the network takes a clip.
        views: of each segment, each clip in the middle of its share.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it does not decode; `Part.read` raises it for damage within a segment.
    """
    info = video_info(file)
    count = max(math.floor(info.seconds / every + 1e-6), 1)  # In floating point 2.4 / 0.8 is a little less than 3.
    edges = [number * every for number in range(count)] + [info.seconds]
    return [
        Part(
            start,
            end,
            short=data.sampling.span > frames_of(Segment(file, start, end), info)[1],
            read=lambda start=start, end=end: _views(info, Segment(file, start, end), data, views),
        )
        for start, end in pairwise(edges)
    ]


def _views(info: VideoInfo, segment: Segment, data: Clips, views: Views) -> Tensor:
    crop = fixed_crops(data.size, crops=views.crops)
    region = crop.draw(info.height, info.width)
    first, total = frames_of(segment, info)
    sampling = dataclasses.replace(data.sampling, views="middle")
    clips = [[first + frame for frame in clip] for clip in sampling.evenly(views.clips, total)]
    return torch.cat([crop.views(read_frames(segment.path, clip, region=region, info=info)) for clip in clips])
