"""Objects of two answers are compared whatever their order; other objects are found."""

import math

import pytest
import torch

import wholeframe as wf
from wholeframe.deploy import formats
from wholeframe.deploy.detector import apart, compare, names_of, shapes_of

BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 5.0, 30.0, 30.0], [20.0, 5.0, 30.0, 30.0]])
ANSWER = {"boxes": BOXES, "labels": torch.tensor([1, 1, 2]), "scores": torch.tensor([0.9, 0.5, 0.5])}


def changed(name, place, value):
    tensor = ANSWER[name].clone()
    tensor[place] = value
    return {**ANSWER, name: tensor}


def test_the_order_does_not_matter():
    order = torch.tensor([0, 2, 1])
    assert apart({name: tensor[order] for name, tensor in ANSWER.items()}, ANSWER) == 0


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (changed("boxes", (0, 0), 0.3), 0.01),
        (changed("scores", 1, 0.41), 0.1),
        (changed("labels", 1, 3), math.inf),
        ({name: tensor[:2] for name, tensor in ANSWER.items()}, math.inf),
        (changed("boxes", 0, BOXES[1]), math.inf),
    ],
)
def test_a_difference_is_found(other, error):
    assert apart(other, ANSWER) == pytest.approx(error)


def test_a_detector_that_finds_others_is_refused():
    wrong = changed("scores", 0, 0.8)
    with pytest.raises(ValueError, match=r"finds 3 objects and the network 3 at 3 x 8 x 8.*no file is left"):
        compare(lambda _: [ANSWER], lambda _: list(wrong.values()), [torch.zeros(3, 8, 8)], 1e-4)
    (done,) = compare(lambda _: [ANSWER], lambda _: list(ANSWER.values()), [torch.zeros(3, 8, 8)], 1e-4)
    assert done.found == 3 and str(done) == "3 x 8 x 8: 0.0e+00, 3 objects"


def finding(detector, threshold):
    """An opened file that finds what the detector finds above a threshold, which the detector has from now on."""
    detector.roi_heads.score_thresh = threshold
    return lambda image: list(detector([image])[0].values())


@torch.no_grad()
def test_a_detector_and_a_file_that_find_nothing_agree(detector):
    image = torch.rand(3, 64, 80)
    run = finding(detector, 1.0)
    assert names_of(detector, image) == ("boxes", "labels", "scores")
    done = compare(detector, run, [torch.rand(shape) for shape in shapes_of(image)], 1e-4)
    assert [(one.error, one.found) for one in done] == [(0, 0)] * 3 and str(done[0]).endswith("0.0e+00, 0 objects")


@torch.no_grad()
@pytest.mark.parametrize("nothing", ["network", "file"])
def test_nothing_and_something_differ(detector, nothing):
    """Whichever of the two finds no object."""
    image = torch.rand(3, 64, 80)
    something, none = (finding(detector, threshold)(image) for threshold in (0.0, 1.0))
    assert len(something[0]) and not len(none[0])
    expected, actual = (none, something) if nothing == "network" else (something, none)
    with pytest.raises(ValueError, match=r"finds \d objects and the network \d at .* difference of inf"):
        compare(lambda _: [dict(zip(ANSWER, expected, strict=True))], lambda _: actual, [image], 1e-4)


@pytest.mark.parametrize(("found", "said"), [(0, True), (2, False)])
def test_an_export_says_whether_there_was_an_object(detector, tmp_path, monkeypatch, found, said):
    """The exporter needs a library, so the file here is empty, and the detector itself takes its place."""
    detector.roi_heads.detections_per_img = 2
    run = finding(detector, 0.0 if found else 1.0)
    monkeypatch.setattr("wholeframe.deploy.detector.write", lambda network, image, file, strings, names: file.touch())
    right = formats.FORMATS[".onnx"]
    monkeypatch.setitem(formats.FORMATS, ".onnx", right._replace(opened=lambda file: torch.no_grad()(run)))
    done = wf.export(detector, tmp_path / "detector.onnx", torch.rand(3, 64, 80))
    assert {one.found for one in done.compared} == {found}
    assert any("no object was found at any size" in note for note in done.notes) == said


def test_a_file_that_fails_or_does_not_open_is_refused_in_a_sentence(detector, tmp_path, monkeypatch):
    """Runtimes raise errors of their own, as where an operator does not take a list of no boxes."""

    def fails(*_):
        raise RuntimeError("Gather node. Name:'/roi_heads/Gather'\nmore")

    monkeypatch.setattr("wholeframe.deploy.detector.write", lambda network, image, file, strings, names: file.touch())
    for opened, said in [
        (lambda file: fails, r"the exported detector fails at 3 x 64 x 80 \(RuntimeError: Gather node.* finds \d obj"),
        (fails, r"the exported network does not open again \(RuntimeError: Gather node"),
    ]:
        monkeypatch.setitem(formats.FORMATS, ".onnx", formats.FORMATS[".onnx"]._replace(opened=opened))
        with pytest.raises(ValueError, match=said):
            wf.export(detector, tmp_path / "detector.onnx", torch.rand(3, 64, 80))
        assert not list(tmp_path.iterdir())
