"""Which frames of a video make a clip: `frames` of them, `stride` frames apart.

Papers write frames x stride: 32x2, 8x8, 32x4 and 128x1 are published. All numbers in this module are frames.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from wholeframe.messages import one_of

Short = Literal["wrap", "clamp"]
ViewStarts = Literal["middle", "caffe2", "pyslowfast"]


@dataclass(frozen=True)
class Sampling:
    """How a clip is taken from a video of `total` frames.

    *Where references disagree:*

    - A video shorter than `frames * stride`: the released Caffe2 code of video-nonlocal-net starts again from the first
      frame, `short="wrap"`; PySlowFast repeats the last frame, `short="clamp"`.
    - Where several clips of one video start: at `total * j // views` in the Caffe2 code, `views="caffe2"`, where the
      last clips may extend past the end. PySlowFast divides the room that a clip leaves, `total - frames * stride`, so
      that the last clip ends before the last frame: `views="pyslowfast"`. `views="middle"` (ours, for few clips) puts
      each clip into the middle of its share of the room.

    Attributes:
        frames: frames of a clip.
        stride: frames of the video from one frame of the clip to the next.
        short: what follows the last frame of a short video: its first frame again, or its last.
        views: where several clips of one video start, in evaluation.
    """

    frames: int = 32
    stride: int = 2
    short: Short = "wrap"
    views: ViewStarts = "caffe2"

    def __post_init__(self):
        one_of("short", self.short, get_args(Short))
        one_of("views", self.views, get_args(ViewStarts))
        if self.frames < 1 or self.stride < 1:
            raise ValueError(
                f"frames={self.frames} and stride={self.stride} must both be at least 1; 32 and 2 are usual"
            )

    @property
    def span(self) -> int:
        """The frames of the video that a clip covers, `frames * stride`."""
        return self.frames * self.stride

    def random(self, total: int) -> list[int]:
        """A clip that starts at U{0 .. total - span}, drawn from torch's generator; at 0 in a short video."""
        return self.starting(int(torch.randint(max(total - self.span, 0) + 1, ())), total)

    def evenly(self, views: int, total: int) -> list[list[int]]:
        """`views` clips, spread over the video by the rule `self.views`."""
        room = max(total - self.span, 0)
        starts = {
            "caffe2": [total * j // views for j in range(views)],
            "pyslowfast": [room * j // views for j in range(views)],
            "middle": [room * (2 * j + 1) // (2 * views) for j in range(views)],
        }[self.views]
        return [self.starting(start, total) for start in starts]

    def starting(self, start: int, total: int) -> list[int]:
        """The frames `start + stride * i`, with those after the end replaced by the rule `self.short`."""
        frames = [start + self.stride * i for i in range(self.frames)]
        if self.short == "wrap":
            return [frame % total for frame in frames]
        return [min(frame, total - 1) for frame in frames]
