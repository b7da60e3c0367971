"""For all tests: one thread, folders of tiny images, and tiny videos."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, default=1, help="threads of torch in every test")


@pytest.hookimpl(tryfirst=True)  # before `-m` leaves tests out
def pytest_collection_modifyitems(items):
    """`slow_beyond(n)`: the cases of a test after its first n are slow."""
    seen = Counter()
    for item in items:
        if beyond := item.get_closest_marker("slow_beyond"):
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > beyond.args[0]:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def threads(request):
    """One, unless told otherwise: maps of a few numbers, where starting threads takes longer than the work."""
    torch.set_num_threads(request.config.getoption("threads"))


@pytest.fixture(autouse=True)
def as_large_maps(request, monkeypatch):
    """Small maps take the way of large ones, whose products are computed again."""
    monkeypatch.setattr("wholeframe.ops.recomputed.SMALL", 0)


@pytest.fixture(scope="session")
def make_photos():
    """`make_photos(root, classes, count, side)`: a folder per class of noisy PNGs, each class with a hue of its own."""

    def make(root, classes=("cat", "dog"), count=12, side=16):
        draw = np.random.default_rng(0)
        for label, name in enumerate(classes):
            (root / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
                pixels[..., label % 3] //= 4
                Image.fromarray(pixels).save(root / name / f"{number:02}.png")
        return root

    return make


BITS, CELL = 12, 8


@pytest.fixture(scope="session")
def make_video():
    """`make_video(path, count)`: a video of 96 x 32 whose frame n shows n in binary; `number_in` reads it."""
    av = pytest.importorskip("av")

    def make(
        path,
        count=24,
        *,
        rate=25,
        codec="mpeg4",
        gop=12,
        stamps=None,
        turned=0,
        sound=0.0,
        title="",
        muxer=None,
        **coder,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=muxer or {}) as container:
            container.metadata["title"] = title
            silence = container.add_stream("aac", rate=8000) if sound else None
            stream = container.add_stream(codec, rate=rate, options=coder)
            stream.width, stream.height, stream.pix_fmt = BITS * CELL, 4 * CELL, "yuv420p"
            stream.codec_context.gop_size = gop
            stream.codec_context.time_base = Fraction(1, 1000 if stamps else rate)
            if turned:
                stream.set_display_rotation(turned)
            if silence:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * sound)), np.float32), "fltp", "mono")
                samples.sample_rate = 8000
                container.mux([*silence.encode(samples), *silence.encode()])
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
                frame.pts = stamps[number] if stamps else number
                frame.time_base = stream.codec_context.time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


def _picture(number):
    bits = np.array([number >> bit & 1 for bit in range(BITS)], dtype=np.uint8) * 255
    return np.broadcast_to(bits.repeat(CELL)[None, :, None], (4 * CELL, BITS * CELL, 3)).copy()


@pytest.fixture(scope="session")
def number_in():
    """The number that a frame `(3, h, w)` of `make_video` shows."""

    def number(frame):
        cells = frame[0].float().reshape(4 * CELL, BITS, CELL).mean(dim=(0, 2))
        return sum(1 << bit for bit, level in enumerate(cells) if level > 127)

    return number
