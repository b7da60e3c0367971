"""Detectors with blocks abroad: the DETR of transformers, and the export of torchvision's detectors.

`test_ultralytics.py` has the life of a YOLO.
"""

import re
from pathlib import Path

import pytest
import torch

import wholeframe as wf
from wholeframe.models.detector import DetectorPlan
from wholeframe.models.resnet_sites import before_last, branches

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "detector.md"
SIZES = [(120, 160), (150, 100)]

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:(torch|transformers)"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def code_with(word):
    """The Python of the page that has this word, so that the tests run what users copy."""
    sources = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    [source] = [source for source in sources if word in source]
    return source


# ----------------------------------------------------------------------------------------------------------------- DETR


@pytest.fixture
def detr():
    """The network of the page: random weights, a block after the projection of the backbone's map."""
    pytest.importorskip("transformers", reason="uv sync --extra tools installs transformers")
    names = {}
    exec(code_with("DetrForObjectDetection"), names)
    return names["detector"], names["report"]


def labels(count):
    one = {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.4, 0.4]])}
    return [one] * count


def test_a_block_in_detr_changes_nothing_at_first(detr):
    detector, report = detr
    (row,) = report.rows
    assert report.unchanged and row.layout == wf.Layout() and row.channels == 32
    assert wf.verify(detector).runs == (1,)
    x = torch.rand(1, 3, 96, 160)
    with torch.no_grad():
        after = detector(x)
        (found,) = wf.attention(detector, x, (40, 70))
        assert found.weights.shape == (3, 5) and found.cell == (1, 2)
        wf.remove(detector)
        before = detector(x)
    assert torch.equal(after.logits, before.logits) and torch.equal(after.pred_boxes, before.pred_boxes)


def test_training_detr_moves_every_weight_of_its_block(detr):
    pytest.importorskip("scipy", reason="uv sync --extra tools installs scipy, with which DETR matches its queries")
    detector = detr[0].train()
    start = {name: p.detach().clone() for name, p in detector.named_parameters() if ".wholeframe." in name}
    optimiser, images = torch.optim.AdamW(detector.parameters(), lr=1e-3), torch.rand(2, 3, 96, 128)
    for _ in range(3):
        optimiser.zero_grad()
        detector(images, labels=labels(2)).loss.backward()
        optimiser.step()
    assert start and not [n for n, p in detector.named_parameters() if n in start and torch.equal(p, start[n])]


def test_detr_takes_its_block_through_a_file(detr, moved, tmp_path):
    detector, x = moved(detr[0]), torch.rand(1, 3, 96, 128)
    torch.save(detector.state_dict(), tmp_path / "weights.pt")
    fresh = type(detector)(detector.config).eval()
    wf.restore(fresh, tmp_path / "weights.pt")
    with torch.no_grad():
        assert torch.equal(fresh(x).logits, detector(x).logits)


# --------------------------------------------------------------------------------------------------------------- export

PLANS = {
    "maskrcnn_gc": DetectorPlan("maskrcnn", "tiny", wf.GlobalContext, branches(18, 3, 4, 5)),
    "maskrcnn_nl": DetectorPlan("maskrcnn", "tiny", wf.NonLocal, before_last(18)),
    "keypointrcnn_nl": DetectorPlan("keypointrcnn", "tiny", wf.NonLocal, before_last(18), head_block=wf.NonLocal),
    "retinanet_gc": DetectorPlan("retinanet", "tiny", wf.GlobalContext, branches(18, 3, 4, 5)),
}


@pytest.fixture(params=PLANS)
def detector(request, moved):
    """A detector that is sure of everything, and whose scores differ."""
    found = moved(PLANS[request.param](3).eval())
    for name, part in found.named_modules():
        if name == "head.classification_head.cls_logits":  # so small at first that all scores are nearly equal
            part.weight.data *= 50
        if hasattr(part, "score_thresh"):
            part.score_thresh, part.detections_per_img = 0.0, 20
    return found


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """`exported(word, detector)`: run the page's export of a detector, and open the file."""
    runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
    pytest.importorskip("onnxscript", reason="uv sync --extra tools installs onnxscript")
    monkeypatch.chdir(tmp_path)

    def export(word, detector):
        names = {"detector": detector, "torch": torch}
        exec(code_with(word), names)
        return runtime.InferenceSession(next(tmp_path.glob("*.onnx")), providers=["CPUExecutionProvider"])

    return export


def near(actual, expected):
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(torch.from_numpy(actual), expected, rtol=1e-3, atol=1e-3 * max(scale, 1.0))


def test_the_whole_detector_in_onnx_finds_the_same(detector, exported):
    session = exported("dynamo=False", detector)
    for size in SIZES:
        image = torch.rand(3, *size)
        with torch.no_grad():
            expected = detector([image])[0]
        assert len(expected["boxes"]) == 20
        assert [output.name for output in session.get_outputs()] == list(expected)
        found = dict(zip(expected, session.run(None, {"image": image.numpy()}), strict=True))
        # Rounding may exchange two objects of nearly the same score.
        order = torch.cdist(expected["boxes"], torch.from_numpy(found["boxes"])).argmin(dim=1)
        assert order.unique().numel() == 20
        for name, values in expected.items():
            near(found[name][order], values)


def test_a_detector_that_finds_nothing_in_onnx(moved, exported):
    detector = moved(PLANS["maskrcnn_gc"](3).eval())
    detector.roi_heads.score_thresh = 1.0
    found = exported("dynamo=False", detector).run(None, {"image": torch.rand(3, *SIZES[1]).numpy()})
    assert [values.shape for values in found] == [(0, 4), (0,), (0,), (0, 1, *SIZES[1])]


def test_the_backbone_in_onnx_takes_other_sizes(moved, exported):
    """By the new exporter, whose height and width are multiples of 32, as the detector pads its images."""
    detector = moved(PLANS["maskrcnn_nl"](3).eval())
    session = exported("dynamo=True", detector)
    for size in [(1, 3, 96, 160), (3, 3, 256, 128)]:
        x = torch.rand(size)
        with torch.no_grad():
            expected = detector.backbone(x)
        for found, values in zip(session.run(None, {"images": x.numpy()}), expected.values(), strict=True):
            near(found, values)


def test_the_whole_detector_is_not_for_the_new_exporters():
    """The reason that the page gives: how many boxes there are depends on the values of the image."""
    detector = PLANS["maskrcnn_gc"](3).eval()
    with pytest.raises(Exception, match="data-dependent"):
        torch.export.export(detector, ([torch.rand(3, *SIZES[0])],), strict=False)
