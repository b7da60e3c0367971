"""Named networks as ONNX files with free sizes: a seeded sample always, and a network of every kind when slow.

`wholeframe bench exports --out exports.jsonl` does so for every network.
"""

import random
from functools import partial

import pytest
import torch

import wholeframe as wf
from wholeframe.bench.exports import measure, moved
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.toy_clips import ToyClipNet
from wholeframe.models.zoo.image import IMAGE_MODELS
from wholeframe.models.zoo.video import VIDEO_MODELS

pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
pytest.importorskip("onnxscript", reason="uv sync --extra tools installs onnxscript")

SAMPLE = random.Random(20).sample(sorted(name for name in IMAGE_MODELS if name.startswith("r18")), 2)
KINDS = (
    "gsop1_r50_position", "isqrt_r50", "c2d_r18_nl1", "c2d_r50_nl1_concatenation", "i3d_r50_nl5_8x8",
    "slowonly_r50_gc5",
)  # fmt: skip


def small(name):
    """An input that is quickly run and leaves the last stage more than one position."""
    return torch.randn(1, 3, 64, 96) if name in IMAGE_MODELS else torch.randn(1, 3, 8, 64, 96)


@pytest.mark.parametrize("name", [*SAMPLE, *(pytest.param(name, marks=pytest.mark.slow) for name in KINDS)])
def test_a_named_network_has_free_sizes_in_onnx(name, tmp_path):
    torch.manual_seed(0)
    done = wf.export(moved(wf.create_model(name, 10)), tmp_path / "net.onnx", small(name))
    time = ["time"] if name in VIDEO_MODELS else []
    assert list(done.input[1]) == ["batch", 3, *time, "height", "width"] and not done.strings.keys() & {"classes"}
    assert done.error < 1e-4 and done.strings["origin"] == f"wholeframe/{name}(num_classes=10)"


CLIP = torch.randn(1, 3, 4, 32, 48, generator=torch.Generator().manual_seed(1))
SMALL_CLIPS = {
    "concatenation": (
        partial(ToyClipNet, 5, counts=(1, 1, 2, 1), width=8), partial(wf.NonLocal, kind="concatenation", pool=2),
    ),
    "slowonly": (lambda: VideoResNet.like("mmaction2", "slowonly", 18, 5, inflation="3x3x3"), wf.GlobalContext),
}  # fmt: skip


@pytest.mark.parametrize("kind", SMALL_CLIPS)
def test_a_small_network_of_clips_has_free_sizes_in_onnx(kind, tmp_path):
    """The concatenation that is dense in ONNX, and a time axis that no layer halves."""
    torch.manual_seed(0)
    build, block = SMALL_CLIPS[kind]
    network = build().eval()
    wf.insert(network, block, at="layer3.1", example=CLIP)
    done = wf.export(moved(network), tmp_path / "net.onnx", CLIP)
    assert done.input == ("clips", ("batch", 3, "time", "height", "width")) and done.error < 1e-4
    assert len({one.shape[2] for one in done.compared}) == 3
    assert any("every query with every key" in note for note in done.notes) == (kind == "concatenation")


@pytest.mark.slow
def test_a_row_of_the_table_is_measured():
    row = measure("r18_se", turns=2)
    assert "refused" not in row and row["error"] < 1e-4 and 40 < row["megabytes"] < 60
    assert row["ratio"] > 0 and row["input"] == [1, 3, 224, 224]
