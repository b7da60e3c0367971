"""Attention over the frames of a clip as a moving picture: a GIF, or an MP4 video."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import INK, drawable
from wholeframe.explain.pictures.heat import Scale, paint_bar, paint_heat
from wholeframe.explain.pictures.panels import LETTERS, name_of, of_gates, what_of
from wholeframe.explain.pictures.scene import View, mark
from wholeframe.explain.pictures.sheet import Moves, Panel, lay_out

DPI = 72
"""of a moving picture, which has a frame for every frame of the clip"""

RATE = 8
"""frames per second: slower than the clip, so that the maps can be followed"""

SUFFIXES = (".gif", ".mp4")
"""of the files that can be written"""


def draw_moving(views: Sequence[View], file: Path) -> None:
    """Draw the frames of a clip in turn, next to the maps of every block at that time.

    A query is marked in its own frame, and as a ring in the others. The frames follow each other at 8 a second.

    Args:
        views: of clips with the same number of frames.
        file: .gif, or .mp4, for which PyAV is needed.

    Raises:
        ValueError: PyAV is not installed.
    """
    frames = _frames([strip for view in views for strip in _strips(view)], len(views[0].scene.frames))
    (_write_gif if file.suffix.lower() == ".gif" else _write_mp4)(frames, file)


def refuse_moving(file: Path) -> None:
    """ValueError if a video is to be written and PyAV is not installed."""
    if file.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401  # An optional extra
        except ImportError as error:
            raise ValueError(
                f"an MP4 is written by PyAV, which is not installed ({error}): pip install 'wholeframe[video]', or "
                "give -o with .gif"
            ) from error


def _frames(strips: Sequence[Sequence[Panel]], count: int) -> Iterator[np.ndarray]:
    """The pictures `(h, w, 3)` of a sheet. Only what moves is drawn for each of them."""
    sheet = lay_out(strips, DPI)
    canvas = sheet.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    for move in sheet.moves:
        for frame in range(count):
            for artist in move(frame):
                artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(sheet.figure.bbox)
    for frame in range(count):
        canvas.restore_region(still)
        for move in sheet.moves:
            for artist in move(frame):
                sheet.figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _strips(view: View) -> list[list[Panel]]:
    """For each query the clip, and the maps of the blocks."""
    strips = []
    for query, label in enumerate(view.labels):
        title = "\n".join(filter(None, (drawable(view.title, LETTERS) if view.title else "", label)))
        strip = [Panel(title, view.scene.tall, lambda axis, query=query: _draw_clip(axis, view, query))]
        for found in view.found[query]:
            if query and found.kind != "pairwise":
                continue
            if found.kind == "channel":
                strip += of_gates(found, name_of(found))
                continue
            head = f"{name_of(found)}\n{what_of(found)}"
            strip.append(
                Panel(head, view.scene.tall, lambda axis, found=found, query=query: _draw_map(axis, view, found, query))
            )
        strips.append(strip)
    return strips


def _draw_clip(axis: Axes, view: View, query: int) -> Moves:
    """The frames of the clip, with the query and the number of the frame."""
    picture = view.scene.paint(axis)
    cross, ring = _marks(axis, view, query)
    height = view.scene.size[0]
    number = axis.annotate("", (0, height), (3, 4), textcoords="offset points", fontsize=8, color="white")
    number.set_bbox({"boxstyle": "square,pad=0.2", "facecolor": INK, "edgecolor": "none"})
    view.scene.fit(axis)

    def move(frame: int) -> Sequence[Artist]:
        picture.set_data(view.scene.frames[frame])
        number.set_text(f"frame {frame} of {len(view.scene.frames)}")
        return [picture, *(cross if frame == view.queries[query][0] else ring), number]

    return move


def _draw_map(axis: Axes, view: View, found: Attention, query: int) -> Moves:
    """The map at the time of each frame, over the frame in grey; the scale is that of the whole clip."""
    scale, weights = Scale.of([found]), found.weights.numpy()
    picture = view.scene.paint(axis, grey=True)
    heat = paint_heat(axis, weights[0], found.key_frame.intervals[-2:], scale)
    cross, ring = _marks(axis, view, query) if found.cell is not None else ([], [])
    view.scene.fit(axis)
    paint_bar(axis, scale.colours, scale.norm)
    start, end = found.key_frame.intervals[0]

    def move(frame: int) -> Sequence[Artist]:
        cell = found.key_frame.cell((frame, 0, 0), weights.shape)[0]
        within = not found.region or start <= frame + 0.5 < end  # A part of the clip has no map at other times.
        picture.set_data(view.scene.in_grey(frame))
        heat.set_data(weights[cell])
        heat.set_alpha(scale.alpha(weights[cell]) * within)
        return [picture, heat, *(cross if frame == view.queries[query][0] else ring)]

    return move


def _marks(axis: Axes, view: View, query: int) -> tuple[Sequence[Artist], Sequence[Artist]]:
    """The query as a cross, for its own frame, and as a ring, for the others."""
    y, x = (at + 0.5 for at in view.queries[query][-2:])
    before = len(axis.lines)
    mark(axis, y, x)
    cross = axis.lines[before:]
    axis.plot(x, y, "o", markersize=9, markerfacecolor="none", markeredgecolor="black", markeredgewidth=2.5)
    axis.plot(x, y, "o", markersize=9, markerfacecolor="none", markeredgecolor="white", markeredgewidth=1.2)
    return cross, axis.lines[before + len(cross) :]


def _write_gif(frames: Iterator[np.ndarray], file: Path) -> None:
    # This method keeps rare colours, such as those of the scale and of the query.
    first, *others = (Image.fromarray(each).quantize(256, Image.Quantize.MAXCOVERAGE) for each in frames)
    first.save(file, format="GIF", save_all=True, append_images=others, duration=1000 // RATE, loop=0)


def _write_mp4(frames: Iterator[np.ndarray], file: Path) -> None:
    import av  # An optional extra

    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # One thread, so that the bytes do not depend on the machine.
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20", "threads": "1"})
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            even = np.pad(frame, [(0, side % 2) for side in frame.shape[:2]] + [(0, 0)], mode="edge")  # as H.264 is
            if number == 0:
                stream.height, stream.width = even.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even)))
        container.mux(stream.encode())
