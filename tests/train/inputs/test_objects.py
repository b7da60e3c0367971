"""Labelled objects under a recipe: splits, names, what is left out, and scores of a detector."""

import dataclasses
import json
import shutil

import pytest
import torch
from coco_folder import coco_folder
from torch import nn

pytest.importorskip("faster_coco_eval")

from wholeframe.train.inputs import open_inputs
from wholeframe.train.inputs.objects import ObjectLocation, Objects
from wholeframe.train.tasks.detection import Detection

DATA = Objects(batch=2, workers=0)


class Told(nn.Module):
    """A detector that finds the two objects of every image of `coco_folder`, with the labels that it is given."""

    def __init__(self, inputs, labels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.labels, self.pictures = labels, iter(inputs.split["val"].pictures)

    def forward(self, images):
        return [self.one(next(self.pictures)) for _ in images]

    def one(self, picture):
        boxes = torch.tensor([instance.box for instance in picture.instances])
        masks = torch.zeros(len(boxes), 1, picture.height, picture.width)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[0, y1:y2, x1:x2] = 1
        labels = torch.tensor([self.labels[instance.label] for instance in picture.instances])
        return {"boxes": boxes, "labels": labels, "scores": torch.ones(len(boxes)), "masks": masks}


def opened(root, task=None, data=DATA, **options):
    return open_inputs(data, ObjectLocation(root), task or Detection("masks"), 0, **options)


def test_splits_names_and_samples(tmp_path):
    inputs = opened(coco_folder(tmp_path / "a"))
    splits = inputs.splits()
    assert inputs.classes == ("cat", "dog") == splits.classes and inputs.divided and not inputs.left_out()
    assert inputs.names("val")[0] == ("val/1.png", "1") and inputs.header == ("file", "image_id")
    assert [row[:2] for row in inputs.samples()[:2]] == [("train", "train/1.png"), ("train", "train/2.png")]
    images, targets = next(iter(splits.train_dataloader()))
    assert len(images) == 2 and {"boxes", "labels", "masks", "image_id"} == set(targets[0])
    assert images[0].dtype == torch.float32 and images[0].min() >= 0 and images[0].max() <= 1
    images, targets = next(iter(inputs.batches("val", None)))
    assert set(targets[0]) == {"image_id"} and inputs.describe().count("2 classes") == 2


def test_batches_hold_images_of_one_orientation(tmp_path):
    """With 8 images of which 2 are upright, only the mixed rest at the end may have both."""
    loader = opened(coco_folder(tmp_path / "a", train=8)).splits().train_dataloader()
    upright = [[image.shape[1] > image.shape[2] for image in images] for images, _ in loader]
    assert len(upright) == 4 and all(len(set(batch)) == 1 for batch in upright)


def test_a_changed_label_is_another_sample(tmp_path):
    root = coco_folder(tmp_path / "a")
    before = opened(root).samples()
    file = root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] = 20
    file.write_text(json.dumps(content))
    assert [old != new for old, new in zip(before, opened(root).samples(), strict=True)][:2] == [True, False]


def test_without_a_val_split_a_part_is_held_out(tmp_path):
    root = coco_folder(tmp_path / "a", val=0)
    inputs = opened(root)
    names = {split: {name for name, _ in inputs.names(split)} for split in ("train", "val")}
    assert len(names["train"]) == 6 and len(names["val"]) == 2 and not names["train"] & names["val"]
    assert "divided into 6 train and 2 val images" in inputs.describe()
    assert opened(shutil.copytree(root, tmp_path / "b")).samples() == inputs.samples(), "the same elsewhere"
    whole = opened(root, whole=True)
    assert not whole.divided and len(whole.names("all")) == 8
    with pytest.raises(ValueError, match=r"has no test split; give --split train or val"):
        inputs.names("test")


@pytest.mark.parametrize("order", [("cat", "dog"), ("dog", "owl", "cat")])
def test_classes_are_matched_by_name(tmp_path, order):
    inputs = opened(coco_folder(tmp_path / "a"))
    labels = {1: order.index("cat") + 1, 2: order.index("dog") + 1}
    scores = inputs.evaluate(Told(inputs, labels), inputs.batches("val", None), Detection("masks"), order, lambda: None)
    assert scores.figures("bbox")["AP"] == 1 == scores.figures("segm")["AP"]
    rows = dict((name, rest) for name, *rest in scores.table(order)[1])
    assert rows["cat"][:2] == ["4", "1.0000"] and all(rows[name][0] == "0" for name in order if name == "owl")


def test_detections_of_a_class_that_the_data_lacks_are_counted(tmp_path):
    inputs = opened(coco_folder(tmp_path / "a"))
    order, labels = ("cat", "dog", "owl"), {1: 1, 2: 3}
    scores = inputs.evaluate(Told(inputs, labels), inputs.batches("val", None), Detection("boxes"), order, lambda: None)
    assert scores.figures("bbox", "cat")["AP"] == 1 and scores.figures("bbox", "dog")["AP"] == 0
    assert "class that the data does not have, its detections left out (4 of 'owl')" in scores.summary()


def test_what_the_task_needs_is_refused_if_it_is_absent(tmp_path):
    root = coco_folder(tmp_path / "a")
    file = root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    del content["annotations"][3]["segmentation"]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"1 of the 16 objects of the train split .* no mask .* --objects boxes"):
        opened(root)
    assert "masks" not in opened(root, Detection("boxes")).splits().train[0][1]
    people = coco_folder(tmp_path / "b", val=0, keypoints=True)
    assert opened(people, Detection("keypoints")).splits().train[0][1]["keypoints"].shape == (2, 17, 3)
    file = people / "annotations" / "person_keypoints_train.json"
    content = json.loads(file.read_text())
    content["categories"][0]["keypoints"] = content["categories"][0]["keypoints"][:5]
    for annotation in content["annotations"]:
        annotation |= {"keypoints": annotation["keypoints"][:15], "num_keypoints": 5}
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"17 keypoints of a person in COCO, and .* has 5 \(nose"):
        opened(people, Detection("keypoints"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"jitter": (1.2, 0.8)}, "begins with the larger factor"),
        ({"jitter": (0.0, 0.8)}, "jitter must be a positive number"),
        ({"val_fraction": 1.0}, "val_fraction=1.0 is not between 0 and 1"),
    ],
)
def test_options_out_of_range(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(DATA, **fields)
    with pytest.raises(ValueError, match="--views 10x3 applies to videos"):
        DATA.test_views("10x3")
