"""Which frames of a video make a clip: `frames` of them, `stride` apart.

Papers write it frames x stride: 32x2, 8x8, 32x4 and 128x1 are the published ones. All numbers here are frames.
"""

from dataclasses import dataclass
from typing import Literal

import torch

Short = Literal["wrap", "clamp"]
Views = Literal["middle", "caffe2", "pyslowfast"]


@dataclass(frozen=True)
class Sampling:
    """How a clip is cut out of a video of `total` frames; one that is too short for `frames * stride` included.

    Where the references disagree:

    - A short video starts again from its beginning in the released Caffe2 code, `short="wrap"`; its last frame is
      repeated in PySlowFast, `short="clamp"`.
    - Several views of one video begin at `total * j // views` in the Caffe2 code, `views="caffe2"`: the last ones may
      reach over the end. In PySlowFast the room left by the clip is divided, `views="pyslowfast"`: the last view ends
      before the last frame. `views="middle"` (ours, for few views) puts each into the middle of its share of the room.
    """

    frames: int = 32
    """frames of a clip"""
    stride: int = 2
    """frames of the video from one frame of the clip to the next"""
    short: Short = "wrap"
    """what comes after the last frame of the video: the first again, or the last again"""
    views: Views = "caffe2"
    """where several clips of one video begin, when testing"""

    def __post_init__(self):
        if self.frames < 1 or self.stride < 1:
            raise ValueError(
                f"frames={self.frames}, stride={self.stride}: both count frames, from 1; 32 and 2 are usual"
            )

    @property
    def span(self) -> int:
        """Frames of the video that a clip covers, `frames * stride`."""
        return self.frames * self.stride

    def random(self, total: int) -> list[int]:
        """A clip that starts at U{0 .. total - span}, at 0 in a short video; drawn from torch's generator."""
        return self.starting(int(torch.randint(max(total - self.span, 0) + 1, ())), total)

    def evenly(self, views: int, total: int) -> list[list[int]]:
        """`views` clips spread over the video, by the rule `self.views`."""
        room = max(total - self.span, 0)
        starts = {
            "caffe2": [total * j // views for j in range(views)],
            "pyslowfast": [room * j // views for j in range(views)],
            "middle": [room * (2 * j + 1) // (2 * views) for j in range(views)],
        }[self.views]
        return [self.starting(start, total) for start in starts]

    def starting(self, start: int, total: int) -> list[int]:
        """The frames `start + stride * i`, brought back into the video."""
        frames = [start + self.stride * i for i in range(self.frames)]
        if self.short == "wrap":
            return [frame % total for frame in frames]
        return [min(frame, total - 1) for frame in frames]
