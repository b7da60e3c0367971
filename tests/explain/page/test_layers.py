"""What a page holds of every block: the weights of the recording, and a sentence for what is thinned or left out."""

import base64
import zlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from rounding import bound
from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, GSoPChannel, NonLocal, SqueezeExcite
from wholeframe.explain.frame import Frame
from wholeframe.explain.page import layers
from wholeframe.explain.page.layers import as_data, layers_of, says
from wholeframe.explain.page.packed import unpacked
from wholeframe.explain.recording import Recording
from wholeframe.surgery.insert import insert

ONE = (1.0, 1.0)
PAIRWISE = partial(NonLocal, init="random", std=0.5)


class Net(nn.Sequential):
    """Convolutions `a` to `d`, where blocks are put in; the first has stride 4."""

    def __init__(self, rank=2):
        torch.manual_seed(0)
        conv = nn.Conv2d if rank == 2 else nn.Conv3d
        first = 4 if rank == 2 else (2, 4, 4)
        super().__init__()
        self.add_module("a", conv(3, 16, first, first))
        for name in "bcd":
            self.add_module(name, conv(16, 16, 1))


def recorded(blocks, size=(24, 32)):
    network = Net(len(size))
    x = torch.randn(1, 3, *size)
    for site, block in blocks.items():
        insert(network, block, at=site, example=x)
    return Recording(network.eval(), x)


def stored(layer):
    """The weights `(rows, columns)` that the page reads."""
    data = layer.rows.data
    levels = np.frombuffer(zlib.decompress(base64.b64decode(data["text"])), np.uint8).reshape(-1, data["columns"])
    low, high = (np.frombuffer(base64.b64decode(data[side]), "<f4")[:, None] for side in ("low", "high"))
    return unpacked(np.add.accumulate(levels, axis=0, dtype=np.uint8), low, high, data["power"])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("size", [(24, 32), (4, 12, 16)])
@pytest.mark.parametrize("pool", [1, 2])
def test_a_row_holds_the_weights_of_its_query(size, pool):
    recording = recorded({"b": partial(PAIRWISE, pool=pool)}, size)
    ((layer,), notes) = layers_of(recording, (1.0,) * len(size))
    grid = layer.found.grid
    rows = stored(layer)
    assert not notes and rows.shape[0] == np.prod(grid)
    for query in [(0,) * len(size), tuple(side - 1 for side in size), tuple(side // 3 for side in size)]:
        (record,) = recording.attention(query)
        row = rows[np.ravel_multi_index(record.cell, grid)]
        # A product of many queries adds in another order than that of one.
        rounding = bound(16 + rows.shape[1], 1.0, torch.float32)
        assert abs(row - record.weights.flatten().numpy()).max() <= layer.rows.error + rounding


@pytest.mark.slow
def test_every_kind_of_block():
    recording = recorded({"a": GlobalContext, "b": partial(CGNL, init="random"), "c": GSoPChannel, "d": SqueezeExcite})
    found, notes = layers_of(recording, ONE)
    kinds = {layer.found.site: layer.found.kind for layer in found}
    assert kinds == {"a": "shared", "b": "pairwise", "c": "channel", "d": "channel"} and not notes
    assert [stored(layer).shape[0] for layer in found] == [1, 48, 1, 1]
    assert [layer.covariance is not None for layer in found] == [False, False, True, False]
    drawn = {layer.found.site: as_data(layer) for layer in found}
    assert drawn["b"]["signed"] and not drawn["a"]["signed"]
    assert drawn["a"]["keys"] == [1, 6, 8] and drawn["c"]["keys"] == [1, 1, 16]
    assert "click does not change" in says(found[0])[0] and "probabilities" in says(found[0])[1]
    assert "covariance" in says(found[2])[-1]


def test_the_frames_are_in_pixels_of_the_picture():
    recording = recorded({"b": PAIRWISE})
    ((layer,), _) = layers_of(recording, (2.0, 3.0))
    (record,) = recording.attention((0, 0))
    (time, down, across), expected = as_data(layer)["parts"][0]["frame"], record.frame.intervals
    assert tuple(time) == (0, 1)
    assert tuple(down) == tuple(2 * side for side in expected[0])
    assert tuple(across) == tuple(3 * side for side in expected[1])


def test_the_quantisation_is_stated_as_it_was_measured():
    ((layer,), _) = layers_of(recorded({"b": PAIRWISE}), ONE)
    told = " ".join(says(layer))
    assert f"at most {layer.rows.error:.2g}, or {layer.rows.share:.2%} of the largest weight of its row" in told


def test_a_large_grid_is_thinned_and_says_so(monkeypatch):
    recording = recorded({"b": PAIRWISE}, (28, 36))  # 7 x 9
    monkeypatch.setattr(layers, "PAIRS", 150)
    monkeypatch.setattr(layers, "AT_ONCE", 200)
    ((layer,), _) = layers_of(recording, ONE)
    assert (layer.step, layer.key_step) == (3, 3)
    rows = recording.rows("b", [(1, 1)])[0]
    assert stored(layer)[0, 0] == pytest.approx(rows[:3, :3].sum().item(), abs=layer.rows.error + 1e-6)
    assert stored(layer).sum(axis=1) == pytest.approx(1, abs=9 * layer.rows.error)
    told = " ".join(says(layer))
    assert "The grid of 7 x 9 has too many queries for a page: of each 3 x 3 cells the middle one is here." in told
    assert "The grid of 7 x 9 has too many keys for a page: the weights of each 3 x 3 cells are added." in told
    drawn = as_data(layer)
    assert drawn["cells"] == [1, 7, 9] and drawn["grid"] == drawn["keys"] == [1, 3, 3]


def test_many_blocks_share_the_page(monkeypatch):
    monkeypatch.setattr(layers, "PAGE", 2 * 48 * 47)
    found, _ = layers_of(recorded({"b": PAIRWISE, "c": PAIRWISE, "d": GlobalContext}), ONE)
    assert [layer.step for layer in found] == [2, 2, 1]


def test_a_block_that_is_not_finite_is_left_out_by_name():
    recording = recorded({"b": PAIRWISE, "c": PAIRWISE})
    with torch.no_grad():
        dict(recording.runs[1].block.named_parameters())["theta.weight"].fill_(float("nan"))
    found, notes = layers_of(recording, ONE)
    assert [layer.found.site for layer in found] == ["b"]
    assert notes == ["NonLocal at c is left out: some of its weights are not finite numbers."]


def test_nothing_to_show():
    recording = recorded({"b": PAIRWISE})
    with torch.no_grad():
        recording.runs[0].block.theta.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="NonLocal at b is left out"):
        layers_of(recording, ONE)


class Idle(Net):
    def forward(self, x):
        return self.b(self.a(x))


def test_a_block_that_does_not_run_is_named():
    network = Net()
    insert(network, PAIRWISE, at="b")
    insert(network, PAIRWISE, at="d")
    network.__class__ = Idle
    found, notes = layers_of(Recording(network.eval(), torch.randn(1, 3, 24, 32)), ONE)
    assert [layer.found.site for layer in found] == ["b"]
    assert notes == ["These blocks do not run for this input and have no map: d."]


def in_parts(recording, *frames, regions=False):
    """The recording, as if the block saw these parts of the input one by one; each with another content."""
    (run,) = recording.runs
    x = torch.cat([run.seen.x * (part + 1) for part in range(len(frames))])
    seen = run.seen._replace(x=x, frames=frames, regions=regions, parts=not regions)
    recording.runs = [replace(run, seen=seen)]
    return recording


LEFT, RIGHT = Frame(((0, 24), (0, 16))), Frame(((0, 24), (16, 32)))


@pytest.mark.parametrize("regions", [True, False])
def test_every_part_has_its_rows(regions):
    recording = in_parts(recorded({"b": PAIRWISE}), LEFT, RIGHT, regions=regions)
    ((layer,), _) = layers_of(recording, (1.0, 2.0))
    rows, block, x = stored(layer), recording.runs[0].block, recording.runs[0].seen.x
    assert rows.shape == (2 * 48, 48)
    for part in (0, 1):
        with torch.no_grad():
            exact = block.attention(x[part : part + 1], list(range(48)))[0].flatten(1).numpy()
        assert abs(rows[part * 48 : (part + 1) * 48] - exact).max() <= layer.rows.error + 1e-6
    assert [part["frame"] for part in as_data(layer)["parts"]] == [
        [(0, 1), (0, 24), (0, 32)],
        [(0, 1), (0, 24), (32, 64)],
    ]
    assert layer.objects == regions
    assert ("2 regions that the detector has chosen" if regions else "2 parts of the input") in says(layer)[2]


def test_a_map_without_a_query_has_a_row_per_part():
    ((layer,), _) = layers_of(in_parts(recorded({"b": GlobalContext}), LEFT, RIGHT), ONE)
    rows = stored(layer)
    assert rows.shape == (2, 48) and abs(rows[0] - rows[1]).max() > 1e-4


def test_the_covariance_of_several_parts_is_left_out_and_named():
    ((layer,), _) = layers_of(in_parts(recorded({"b": GSoPChannel}), LEFT, RIGHT), ONE)
    assert layer.covariance is None and "one per part, is not on this page" in says(layer)[-1]


def test_frames_that_a_network_sees_one_by_one():
    """A network for images on the frames of a clip: one part per frame, each as long as its frame."""

    class Frames(Net):
        def forward(self, clip):
            return super().forward(clip[0].transpose(0, 1))

    network = Frames()
    insert(network, PAIRWISE, at="b", example=(clip := torch.randn(1, 3, 4, 8, 12)))
    ((layer,), _) = layers_of(Recording(network.eval(), clip), (1.0, 1.0, 1.0))
    data = as_data(layer)
    assert [tuple(part["frame"][0]) for part in data["parts"]] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert data["grid"] == [1, 2, 3] and stored(layer).shape == (4 * 6, 6)
