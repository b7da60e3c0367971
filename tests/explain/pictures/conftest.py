"""Records made by hand: a map over the keys of a photograph or a clip, or gates."""

import numpy as np
import pytest
import torch

from wholeframe.explain.attention import Attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.scene import Scene, View

SIDE = 32


@pytest.fixture
def record():
    """`record(weights, kind)`: a block's map over a picture of 32 x 32 pixels, in a clip of 8 frames for three axes."""

    def record(weights, kind="pairwise", site="layer3.4", **changes):
        grid = tuple(weights.shape)
        size = (8, SIDE, SIDE) if weights.ndim == 3 else (SIDE, SIDE)
        frame = Frame.whole(size)
        cell = tuple(side // 2 for side in grid) if kind == "pairwise" else None
        given = {"cell": cell, "grid": grid, "frame": frame, "weights": weights, "key_frame": frame}
        return Attention(**{"site": site, "block": "NonLocal", "kind": kind, **given, **changes})

    return record


@pytest.fixture
def planted(record):
    """`planted((1, 2, 3), (4, 8, 8))`: all of the weight on one key."""

    def planted(key, keys, **changes):
        weights = torch.zeros(keys)
        weights[key] = 1
        return record(weights, **changes)

    return planted


@pytest.fixture
def photograph():
    """A black photograph."""
    return Scene(np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture
def clip():
    """A clip of eight frames, each of a grey of its own."""
    greys = np.arange(8, dtype=np.uint8)[:, None, None, None] * 16
    return Scene(np.broadcast_to(greys, (8, SIDE, SIDE, 3)).copy(), clip=True)


@pytest.fixture
def view():
    """`view(scene, found, ...)`: one query for each list of records."""

    def view(scene, *found, title=""):
        query = (4, 16, 16) if scene.clip else (16, 16)
        labels = [f"query {number}" for number in range(1, len(found) + 1)]
        return View(scene, found, [query] * len(found), labels, title)

    return view
