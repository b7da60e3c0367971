"""Videos of many kinds: containers, codecs and the properties that make seeking and counting hard."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import av
import numpy as np
import pytest

VARYING = [100 * n for n in range(8)] + [800 + 20 * n for n in range(22)]
"""Milliseconds: 10 and then 50 frames a second."""

OPEN = {"bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}
HEVC = {"x265-params": "log-level=none:bframes=3:open-gop=1:keyint=12:min-keyint=4:scenecut=0"}
KEPT = {"avoid_negative_ts": "disabled"}


class Kind(NamedTuple):
    """One kind of file, and how to encode it."""

    name: str
    codec: str = "libx264"
    count: int = 30
    rate: int | Fraction = 25
    size: tuple[int, int] = (96, 64)
    pixels: str = "yuv420p"
    stamps: list[int] | None = None
    offset: int = 0
    turned: int = 0
    format: str | None = None
    muxer: Mapping[str, str] = MappingProxyType({})
    coder: Mapping[str, str] = MappingProxyType({})

    @property
    def suffix(self):
        return "." + self.name.split()[0]


QUICK = [
    Kind("mp4", coder=OPEN),
    Kind("mp4 negative", offset=-5, coder={"bf": "2"}, muxer=KEPT),
    Kind("mp4 intra refresh", coder={"x264-params": "intra-refresh=1"}),
    Kind("mp4 fragments", muxer={"movflags": "frag_keyframe"}, coder={"bf": "2"}),
    Kind("mkv negative", offset=-14, coder={"bf": "2"}, muxer=KEPT),
    Kind("mkv late", offset=937),
    Kind("mkv varying", stamps=VARYING),
    Kind("mpg", "mpeg1video", 60, coder={"bf": "2"}),
    Kind("mpg h264", coder={"bf": "2"}),
    Kind("ts", "mpeg2video", coder={"bf": "2"}),
    Kind("ts h264", coder=OPEN),
    Kind("ts mpeg4", "mpeg4", coder={"bf": "2"}),
    Kind("avi", coder={"bf": "3"}),
    Kind("asf h264", coder={"bf": "2"}),
    Kind("mxf h264", coder={"bf": "2"}),
    Kind("gif varying", "gif", pixels="rgb8", stamps=[10 * n for n in range(15)] + [400 + 40 * n for n in range(15)]),
    Kind("h264", coder={"bf": "2"}),
    Kind("rm", "rv10", 50, size=(176, 144)),
    *[Kind(f"{name} one", codec, 1) for name, codec in (("ts", "libx264"), ("mpg", "mpeg1video"), ("asf", "wmv2"))],
]

SLOW = [
    Kind("mpg mpeg2", "mpeg2video", 50),
    Kind("flv", coder={"bf": "2"}),
    Kind("mxf", "mpeg2video", coder={"bf": "2"}),
    Kind("swf", "flv"),
    Kind("webm hidden", "libvpx", coder={"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    Kind("m1v", "mpeg1video", coder={"bf": "2"}),
    Kind("mp4 varying", stamps=VARYING),
    Kind("mp4 late", offset=100, coder={"bf": "2"}),
    Kind("mp4 turned", turned=90),
    Kind("mp4 ten bits", pixels="yuv420p10le"),
    Kind("mp4 interlaced", coder={"x264-params": "tff=1:interlaced=1", "bf": "2"}),
    Kind("mp4 hevc", "libx265", coder=HEVC),
    Kind("mp4 mpeg4", "mpeg4", coder={"bf": "2"}),
    Kind("mp4 empty moov", muxer={"movflags": "frag_keyframe+empty_moov"}, coder={"bf": "2"}),
    Kind("mp4 dash", muxer={"movflags": "dash"}, coder={"bf": "2"}),
    Kind("mov prores", "prores_ks", pixels="yuv422p10le"),
    Kind("mov qtrle", "qtrle", pixels="rgb24"),
    Kind("mov mjpeg", "mjpeg", pixels="yuvj420p"),
    Kind("mov varying", stamps=VARYING, coder={"bf": "2"}),
    Kind("3gp", "h263", size=(176, 144)),
    Kind("f4v", coder={"bf": "2"}),
    Kind("ismv", coder={"bf": "2"}),
    Kind("mkv open", coder=OPEN),
    Kind("mkv intra refresh", coder={"x264-params": "intra-refresh=1"}),
    Kind("mkv hevc", "libx265", coder=HEVC),
    Kind("mkv mpeg2", "mpeg2video", coder={"bf": "2"}),
    Kind("mkv ffv1", "ffv1"),
    Kind("mkv 59.94", count=200, rate=Fraction(60000, 1001)),
    Kind("mkv turned", turned=270),
    Kind("webm vp9", "libvpx-vp9", coder={"cpu-used": "8"}),
    Kind("webm varying", "libvpx", stamps=VARYING),
    Kind("avi mpeg4", "mpeg4", 100, coder={"bf": "2"}),
    Kind("avi pyramid", coder={"bf": "3", "x264-params": "b-pyramid=normal:b-adapt=0:scenecut=0"}),
    Kind("avi mjpeg", "mjpeg", pixels="yuvj420p"),
    Kind("avi ffv1", "ffv1"),
    Kind("avi raw", "rawvideo"),
    Kind("avi one", count=1, coder={"bf": "2"}),
    Kind("ts hevc", "libx265", coder=HEVC),
    Kind("ts varying", stamps=VARYING),
    Kind("ts wrapped", offset=2**33 // 3600 - 10, coder={"bf": "2"}),
    Kind("ts interlaced", "mpeg2video", coder={"flags": "+ilme+ildct", "bf": "2"}),
    Kind("m2ts", coder={"bf": "2"}),
    Kind("mpg late", "mpeg2video", offset=1000, coder={"bf": "2"}),
    Kind("mpg intra", "mpeg2video", 60, coder={"g": "1"}),
    Kind("vob", "mpeg2video", 150, coder={"bf": "2"}),
    Kind("mpg vcd", "mpeg1video", size=(352, 240), format="vcd", coder={"bf": "2"}),
    Kind("asf", "wmv2", 100),
    Kind("wmv", "wmv1"),
    Kind("asf varying", "wmv2", stamps=VARYING),
    Kind("mxf long", "mpeg2video", 100),
    Kind("mxf dnxhd", "dnxhd", 6, size=(1280, 720), pixels="yuv422p", coder={"b": "90M"}),
    Kind("flv varying", stamps=VARYING, coder={"bf": "2"}),
    Kind("flv flv1", "flv", 60),
    Kind("flv one", count=1),
    Kind("nut", "mpeg4", 60, coder={"bf": "2"}),
    Kind("nut h264", coder={"bf": "2"}),
    Kind("ogg", "libvpx"),
    Kind("wtv", "mpeg2video", coder={"bf": "2"}),
    Kind("gxf", "mpeg2video", 12, size=(720, 576)),
    Kind("dv", "dvvideo", 12, size=(720, 576)),
    Kind("roq", "roqvideo", rate=30, pixels="yuvj444p"),
    Kind("gif", "gif", pixels="rgb8"),
    Kind("apng", "apng", pixels="rgb24"),
    Kind("ivf", "libvpx-vp9", coder={"cpu-used": "8"}),
    Kind("hevc", "libx265", coder=HEVC),
    Kind("m4v", "mpeg4", format="m4v", coder={"bf": "2"}),
    Kind("m2v", "mpeg2video", coder={"bf": "2"}),
    Kind("mjpeg", "mjpeg", pixels="yuvj420p"),
    Kind("y4m", "wrapped_avframe"),
    Kind("h261", "h261", size=(176, 144)),
]


def picture(number, size):
    """A picture whose every part depends on its number."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([2 * x + 5 * number, 3 * y + 7 * number, 2 * (x + y) + 3 * number], axis=-1) % 256
    bits = np.array([number >> bit & 1 for bit in range(8)]) * 255
    image[: height // 4] = np.repeat(bits, width // 8)[:width, None]
    return image.astype(np.uint8)


def encode(folder, kind):
    """A file of this kind, with a key frame every 12 frames."""
    if kind.codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {kind.codec}")
    path = folder / f"{kind.name.replace(' ', '_')}{kind.suffix}"
    with av.open(str(path), "w", format=kind.format, options=dict(kind.muxer)) as container:
        stream = container.add_stream(kind.codec, rate=kind.rate, options=dict(kind.coder))
        (stream.width, stream.height), stream.pix_fmt = kind.size, kind.pixels
        stream.codec_context.gop_size = 12
        stream.codec_context.time_base = Fraction(1, 1000) if kind.stamps else 1 / Fraction(kind.rate)
        if kind.turned:
            stream.set_display_rotation(kind.turned)
        for number in range(kind.count):
            frame = av.VideoFrame.from_ndarray(picture(number, kind.size), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = (kind.stamps[number] if kind.stamps else number) + kind.offset
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
