"""Any number of queries after one pass."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.explain.attention import attention
from wholeframe.explain.recording import Recording
from wholeframe.models.toy import ToyNet

IMAGE = torch.randn(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))


def network(block, at="stage3", example=IMAGE):
    torch.manual_seed(0)
    made = ToyNet(2, strides=(2, 2, 2))
    wf.insert(made, block, at, example)
    return made


def test_the_network_runs_once():
    made, passes = network(wf.NonLocal, ["stage1", "stage3"]), []
    made.register_forward_pre_hook(lambda *_: passes.append(1))
    recording = Recording(made, IMAGE)
    for query in ((0, 0), (5, 6), (31, 23)):
        for ours, theirs in zip(recording.attention(query), attention(made, IMAGE, query), strict=True):
            assert torch.equal(ours.weights, theirs.weights) and ours.cell == theirs.cell
    assert len(passes) == 1 + 3 and recording.sites == ("stage1.2", "stage3.2") and recording.size == (32, 24)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("block", [partial(wf.NonLocal, kind="dot", std=1.0), partial(wf.NonLocal, pool=2), wf.CGNL])
def test_rows_are_the_weights_of_single_queries(block, monkeypatch):
    recording = Recording(network(block), IMAGE)
    cells = list(itertools.product(range(4), range(3)))
    rows = recording.rows("stage3.2", cells)
    centres = [recording.attention((0, 0))[0].frame.centre(cell, (4, 3)) for cell in cells]
    for cell, row, (y, x) in zip(cells, rows, centres, strict=True):
        (single,) = recording.attention((int(y), int(x)))
        assert single.cell == cell
        torch.testing.assert_close(row, single.weights)
    monkeypatch.setattr("wholeframe.explain.recording.NUMBERS", 48 * 12 * 2)  # two queries at a time
    torch.testing.assert_close(recording.rows("stage3.2", cells), rows)
    assert recording.rows("stage3.2", torch.tensor([[1, 2]])).shape == (1, *rows.shape[1:])


def test_rows_of_a_block_without_queries_and_of_cells_outside():
    recording = Recording(network(wf.GlobalContext), IMAGE)
    with pytest.raises(
        ValueError, match=r"the block at stage3\.2 has no map that depends on a query; take `attention`"
    ):
        recording.rows("stage3.2", [(0, 0)])
    recording = Recording(network(wf.NonLocal), IMAGE)
    with pytest.raises(ValueError, match=r"the point \(4, 0\) lies outside the grid \(4, 3\)"):
        recording.rows("stage3.2", [(4, 0)])


def test_answers_are_those_of_eval_mode():
    made = network(lambda channels: wf.GSoPChannel(channels, inner=8))
    recording = Recording(made.train(), IMAGE)
    made.train()
    first, again = recording.attention(), recording.attention()
    assert torch.equal(first[0].weights, again[0].weights) and made.training
    assert made.stage3[-1].wholeframe.multiply.row_norm.num_batches_tracked == 0


class Shared(nn.Module):
    """A head that runs on two levels of a pyramid, as that of RetinaNet."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 4, 4)
        self.head = wf.NonLocal(8, std=1.0)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        y = self.body(x)
        return self.head(y), self.head(self.pool(y))


def test_every_run_of_a_block_has_its_records():
    found = attention(Shared(), IMAGE, (31, 0))
    assert [(a.site, a.grid, a.cell) for a in found] == [
        ("head (run 1 of 2)", (8, 6), (7, 0)),
        ("head (run 2 of 2)", (4, 3), (3, 0)),
    ]
    assert [a.site for a in attention(Shared(), IMAGE, (31, 0), "head (run 2 of 2)")] == ["head (run 2 of 2)"]
    assert len(attention(Shared(), IMAGE, (31, 0), "head")) == 2


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "at", "size", "interval"),
    [
        ("resnet18", "layer3.0", 224, (-7.5, 216.5)),
        ("vit_tiny_patch16_224", "blocks.0", 224, (0, 224)),
        ("swin_tiny_patch4_window7_224", "layers.1.blocks.1", 224, (0, 224)),
        ("convnext_atto", "stages.2.blocks.1", 160, (0, 160)),
    ],
)
def test_networks_of_timm(name, at, size, interval):
    """Residual networks, tokens behind a class token, shifted windows, channels last."""
    timm = pytest.importorskip("timm")
    made, image = timm.create_model(name, num_classes=2), torch.randn(1, 3, size, size)
    wf.insert(made, partial(wf.NonLocal, inner=8), at, image)
    (found,) = attention(made, image, (100, 40))
    assert found.frame.intervals == (pytest.approx(interval), pytest.approx(interval))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("at", ["res3.3", "res4.5", "res4.0"])
def test_a_network_for_clips(at):
    made, clip = (
        wf.create_model("i3d_r50_32x2_nl5" if "i3d_r50_32x2_nl5" in wf.MODELS else "i3d_r50_nl5", 2),
        torch.randn(1, 3, 8, 32, 48),
    )
    sites = Recording(made, clip).sites
    assert sites
