"""A part of a decoded frame, cut and scaled on the planes that it was decoded into, before they become colours.

A frame of a video is stored as brightness and, mostly at half the resolution, two differences of colour. To make
colours of all of it and then to scale a part of them is more work, and further from the exact result: swscale's fast
way to colours of the same size repeats the differences instead of interpolating them, and rounds down.
"""

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from torch import Tensor

from wholeframe.data.video.region import Part

Filter = tuple[str, str]
"""Its name in libavfilter, and its options."""

TURNS: dict[int, list[Filter]] = {
    90: [("transpose", "cclock")],
    180: [("hflip", ""), ("vflip", "")],
    270: [("transpose", "clock")],
}
"""From the picture as stored to the one shown, by degrees counter-clockwise; any other angle is not turned."""

RGB = (2, 0, 1)  # of the planes green, blue, red


class Cutter:
    """Makes the same part of frame after frame: one graph of filters for all of them.

    Args:
        part: in the picture as it is shown.
        shown: height and width of that.
        rotation: degrees counter-clockwise from the picture as stored to the one shown.
    """

    def __init__(self, part: Part, shown: tuple[int, int], rotation: int):
        self.part, self.shown, self.rotation = part, shown, rotation
        self.kind: tuple[int, int, str] | None = None

    def __call__(self, frame: VideoFrame, into: Tensor) -> None:
        """Write `(3, *part.size)` uint8 into the last argument."""
        kind = frame.width, frame.height, frame.format.name
        if kind != self.kind:  # the first frame; or a file in which it changes
            self.kind, self.graph = kind, self._graph(*kind)
        self.graph.vpush(frame)
        planes, colours = self.graph.vpull().planes, into.numpy()
        height, width = self.part.size
        for colour, index in enumerate(RGB):
            plane = planes[index]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            colours[colour] = rows[:height, :width]

    def _graph(self, width: int, height: int, kind: str) -> Graph:
        part, (tall, wide) = self.part, self.shown
        stored = (tall, wide) if self.rotation % 180 == 90 else (wide, tall)
        scale = "{}:{}:flags=bilinear+accurate_rnd+full_chroma_int"
        filters = [
            *([("scale", scale.format(*stored))] if (width, height) != stored else []),
            *TURNS.get(self.rotation, []),
            ("crop", f"{part.width}:{part.height}:{part.left}:{part.top}:exact=1"),  # colours up to half a pixel off
            ("scale", scale.format(*part.size[::-1])),
            ("format", "gbrp"),
            *([("hflip", "")] if part.mirrored else []),
        ]
        graph = Graph()
        graph.threads = 1  # a loader has a process per core
        source = graph.add("buffer", video_size=f"{width}x{height}", pix_fmt=kind, time_base="1/1000")
        graph.link_nodes(source, *(graph.add(*each) for each in filters), graph.add("buffersink"))
        graph.configure()
        return graph
