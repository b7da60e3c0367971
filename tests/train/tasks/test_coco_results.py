"""Collected results: tensors of every form, their fields in COCO's format, and those that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from wholeframe.train.tasks.coco_results import CocoResults

pytest.importorskip("faster_coco_eval")


def test_results_have_the_ids_of_the_file_and_one_field(annotations, truth):
    results = CocoResults(annotations, ("segm", "bbox", "keypoints"))
    for number, found in truth.items():
        results.add(number, found)
    assert results.kinds == ("bbox", "segm", "keypoints")
    instance = annotations.pictures[1].instances[0]
    x1, y1, x2, y2 = instance.box
    category = {1: 90, 2: 5}[instance.label]
    assert results.entries("bbox")[0] == {
        "image_id": 40,
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": 1.0,
    }
    first = results.entries("segm")[0]
    assert set(first) == {"image_id", "category_id", "segmentation", "score"}
    assert first["segmentation"]["size"] == [200, 240] and isinstance(first["segmentation"]["counts"], str)
    named = results.entries("keypoints")
    assert len(named) < len(results.entries("bbox")) == 42 and all(any(entry["keypoints"]) for entry in named)
    with pytest.raises(ValueError, match="kind='segm' is not one of 'bbox'"):
        CocoResults(annotations).entries("segm")


@pytest.mark.parametrize("form", ["probabilities", "half", "bool", "uint8", "without a channel", "numpy"])
def test_masks_of_every_form(annotations, truth, form):
    masks = truth[40]["masks"]
    forms = {
        "probabilities": masks * 0.8 + 0.1,
        "half": (masks * 0.5 + 0.1).bfloat16(),
        "bool": masks,
        "uint8": masks.byte(),
        "without a channel": masks[:, 0].float(),
        "numpy": masks.numpy(),
    }
    found = []
    for given in (masks, forms[form]):
        results = CocoResults(annotations, ("segm",))
        results.add(40, {**truth[40], "masks": given})
        found.append(results.entries("segm"))
    assert found[0] == found[1] and len(found[0]) == 6


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "boxes",
            lambda t: t[:4],
            r"boxes of 6 detections in image 40 .* have the shape \(4, 4\); give \(6, 4\)",
        ),
        ("labels", lambda t: t[:, None], r"labels of 6 detections .* have the shape \(6, 1\); give \(6,\)"),
        ("labels", lambda t: t.float(), r"labels in image 40 .* are torch.float32; give whole numbers from 1"),
        ("scores", lambda t: t[0], r"scores of 1 detections .* have the shape \(\); give \(1,\)"),
        ("masks", lambda t: t[..., :28, :28], r"have the shape \(6, 1, 28, 28\); give \(6, 1, 200, 240\)"),
        (
            "masks",
            lambda t: 8.0 * t - 4,
            "masks in image 40 .* have the value -4; give probabilities, from 0 to 1",
        ),
        ("masks", lambda t: 255 * t.int(), "masks in image 40 .* have the value 255"),
        ("keypoints", lambda t: t[..., :2], r"have the shape \(6, 3, 2\); give \(6, 3, 3\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(annotations, truth, name, change, message):
    results = CocoResults(annotations, ("bbox", "segm", "keypoints"))
    with pytest.raises(ValueError, match=message):
        results.add(40, {**truth[40], name: change(truth[40][name])})


def test_absent_tensors_are_named(annotations, truth):
    results = CocoResults(annotations, ("bbox", "segm"))
    with pytest.raises(ValueError, match=r"detections in image 40 \(40.jpg\) have no labels and no masks; give"):
        results.add(40, {name: truth[40][name] for name in ("scores", "boxes")})


def test_annotations_with_an_id_twice_are_refused(annotations):
    twice = replace(annotations, pictures=(*annotations.pictures, annotations.pictures[3]))
    with pytest.raises(ValueError, match=r"'made.json' has 9 images with 8 different ids"):
        CocoResults(twice)
    with pytest.raises(ValueError, match=r"kinds=\(\) collects nothing"):
        CocoResults(annotations, ())


def test_a_file_is_written_as_a_whole(annotations, detections, tmp_path):
    results = CocoResults(annotations, ("bbox", "segm"))
    for number, found in detections.items():
        results.add(number, found)
    for kind in results.kinds:
        results.write(tmp_path / kind, kind)
        assert json.loads((tmp_path / kind).read_text()) == results.entries(kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bbox", "segm"]


def test_gradients_and_devices_do_not_matter(annotations, truth):
    results = CocoResults(annotations)
    boxes = torch.nn.Parameter(truth[40]["boxes"].float())
    results.add(np.int64(40), {**truth[40], "boxes": boxes})
    assert len(results.entries("bbox")) == 6
