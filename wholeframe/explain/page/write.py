"""The HTML of a page: layers and pictures as data, in a template with its style and script inside."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from wholeframe.explain.page.layers import Layer, as_data, layers_of
from wholeframe.explain.page.pictures import LONGEST, LONGEST_FRAME, as_text
from wholeframe.explain.page.template import rendered
from wholeframe.explain.recording import Recording
from wholeframe.messages import shown
from wholeframe.surgery.placement import grid_text

SCRIPTS = ("numbers.js", "drawing.js", "words.js", "page.js", "input.js")
COLOURS = {"weights": "cividis", "signed": "RdBu_r"}
"""Both keep their order for colour-blind readers."""

ARROWS = {"image": 5, "clip": 20}
"""Arrows at the start; 20 is the figure of the Non-local paper."""


def write_page(
    file: str | os.PathLike[str],
    recording: Recording,
    picture: np.ndarray,
    *,
    name: str,
    model: str,
    notes: Sequence[str] = (),
) -> None:
    """Write the page of one photograph or clip as a single file that needs no network.

    Args:
        file: the HTML file to write.
        recording: the pass of the network over the input.
        picture: what the reader looks at, which shows the whole input: a photograph `(h, w, 3)` or the frames
            `(t, h, w, 3)` of a clip, 0 to 255.
        name: of the photograph or the clip.
        model: of the network.
        notes: further sentences for the page, such as that the weights are random.

    Raises:
        ValueError: no block of the network has a map for this input, or the picture has other axes.
    """
    Path(file).write_text(html_page(recording, picture, name=name, model=model, notes=notes), encoding="utf-8")


def html_page(recording: Recording, picture: np.ndarray, *, name: str, model: str, notes: Sequence[str] = ()) -> str:
    """The text of the page; see `write_page`."""
    if picture.ndim != len(recording.size) + 1:
        raise ValueError(
            f"a picture of shape {picture.shape} does not show an input of {grid_text(recording.size)}; give the "
            "photograph (h, w, 3) of an image, or the frames (t, h, w, 3) of a clip"
        )
    factors = tuple(new / old for new, old in zip(picture.shape[:-1], recording.size, strict=True))
    layers, left_out = layers_of(recording, factors)
    return rendered(
        "page.html",
        "page.css",
        SCRIPTS,
        "img-src data:",
        data=_data(layers, picture),
        name=shown(name),
        model=shown(model),
        notes=[*notes, *left_out],
        arrows=ARROWS["clip" if picture.ndim == 4 else "image"],
    )


def _data(layers: Sequence[Layer], picture: np.ndarray) -> dict[str, Any]:
    """What the script reads; all positions are in pixels of the picture, and all have a time."""
    clip = picture.ndim == 4
    frames = picture if clip else picture[None]
    drawn = [as_data(layer) for layer in layers]
    times = [_times(layer, len(frames)) for layer in drawn]
    kept = sorted({int(time) for each in times for time in each})
    for layer, each in zip(drawn, times, strict=True):
        layer["panels"] = [{"time": time, "picture": kept.index(int(time))} for time in each]
    longest = LONGEST_FRAME if clip else LONGEST
    return {
        "clip": clip,
        "size": frames.shape[1:3],
        "start": [side // 2 + 0.5 for side in frames.shape[:3]],
        "pictures": [{"time": time, "source": as_text(Image.fromarray(frames[time]), longest)} for time in kept],
        "colours": {use: _colours(name) for use, name in COLOURS.items()},
        "layers": drawn,
    }


def _times(layer: dict[str, Any], frames: int) -> list[float]:
    """The times that a layer has panels for: the centres of its cells in time, within the clip."""
    cells = max(layer["grid"][0], 1 if layer["kind"] == "channel" else layer["keys"][0])
    ends = {tuple(part["frame"][0]) for part in layer["parts"]}
    centres = {start + (end - start) * (cell + 0.5) / cells for start, end in ends for cell in range(cells)}
    return sorted({min(max(centre, 0.0), frames - 0.5) for centre in centres})


def _colours(name: str) -> list[list[int]]:
    return matplotlib.colormaps[name](np.linspace(0, 1, 65), bytes=True)[:, :3].tolist()
