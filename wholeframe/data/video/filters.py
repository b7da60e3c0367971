"""Crop and scale a decoded frame on the planes that it was decoded into, before it is converted to RGB.

A frame is stored as brightness and, mostly at half the resolution, two colour differences. Converting the whole frame
to RGB and then scaling a region of it takes longer and is less exact: swscale's fast conversion without scaling repeats
the colour differences instead of interpolating them, and rounds down.
"""

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from torch import Tensor

from wholeframe.data.video.region import Region

Filter = tuple[str, str]
"""The name of a filter of libavfilter, and its options."""

TURNS: dict[int, list[Filter]] = {
    90: [("transpose", "cclock")],
    180: [("hflip", ""), ("vflip", "")],
    270: [("transpose", "clock")],
}
"""From the stored to the displayed image, by degrees counter-clockwise. Other angles are not applied."""

RGB = (2, 0, 1)  # indices into the planes green, blue, red


class RegionFilter:
    """Read the same region of many frames, with one filter graph for all of them.

    Args:
        region: the region, in the image as it is displayed.
        shown: height and width of that image.
        rotation: degrees counter-clockwise from the stored to the displayed image.
    """

    def __init__(self, region: Region, shown: tuple[int, int], rotation: int):
        self.region, self.shown, self.rotation = region, shown, rotation
        self.kind: tuple[int, int, str] | None = None

    def __call__(self, frame: VideoFrame, into: Tensor) -> None:
        """Write the region of `frame` into `into`, `(3, *region.size)` uint8."""
        kind = frame.width, frame.height, frame.format.name
        if kind != self.kind:  # The first frame, or a file whose size or pixel format changes.
            self.kind, self.graph = kind, self._graph(*kind)
        self.graph.vpush(frame)
        planes, colours = self.graph.vpull().planes, into.numpy()
        height, width = self.region.size
        for colour, index in enumerate(RGB):
            plane = planes[index]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            colours[colour] = rows[:height, :width]

    def _graph(self, width: int, height: int, kind: str) -> Graph:
        region, (tall, wide) = self.region, self.shown
        stored = (tall, wide) if self.rotation % 180 == 90 else (wide, tall)
        scale = "{}:{}:flags=bilinear+accurate_rnd+full_chroma_int"
        # With exact=1 a box may begin at an odd pixel; its colour differences are then up to half a pixel off.
        crop = f"{region.width}:{region.height}:{region.left}:{region.top}:exact=1"
        filters = [
            *([("scale", scale.format(*stored))] if (width, height) != stored else []),
            *TURNS.get(self.rotation, []),
            ("crop", crop),
            ("scale", scale.format(*region.size[::-1])),
            ("format", "gbrp"),
            *([("hflip", "")] if region.mirrored else []),
        ]
        graph = Graph()
        graph.threads = 1  # A loader runs one process per core.
        source = graph.add("buffer", video_size=f"{width}x{height}", pix_fmt=kind, time_base="1/1000")
        graph.link_nodes(source, *(graph.add(*each) for each in filters), graph.add("buffersink"))
        graph.configure()
        return graph
