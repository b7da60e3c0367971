"""Named networks as ONNX files with free sizes: a seeded sample always, and a network of every kind when slow.

`wholeframe bench exports --out exports.jsonl` does so for every network.
"""

import random

import pytest
import torch

import wholeframe as wf
from wholeframe.bench.exports import measure, moved
from wholeframe.models.zoo.image import IMAGE_MODELS
from wholeframe.models.zoo.video import VIDEO_MODELS

pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
pytest.importorskip("onnxscript", reason="uv sync --extra tools installs onnxscript")

ROW = "r18_se"  # the one that is exported as a row of the table
SAMPLE = random.Random(20).sample(sorted(name for name in IMAGE_MODELS if name.startswith("r18") and name != ROW), 1)
KINDS = ("gsop1_r50_position", "isqrt_r50", "c2d_r50_nl1_concatenation", "i3d_r50_nl5_8x8", "slowonly_r50_gc5")


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


@pytest.mark.slow
def test_a_row_of_the_table_is_measured():
    row = measure(ROW, turns=2)
    assert "refused" not in row and row["error"] < 1e-4 and 40 < row["megabytes"] < 60
    assert row["ratio"] > 0 and row["input"] == [1, 3, 224, 224] and row["axes"] == ["batch", 3, "height", "width"]
