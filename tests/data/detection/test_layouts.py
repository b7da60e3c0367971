"""A folder in any of the three formats is read without saying which."""

import json

import pytest
from PIL import Image

from wholeframe.data.detection.coco_layouts import EXPORTED
from wholeframe.data.detection.layouts import open_detections


def image(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10)).save(file)


def coco(file, name="cat", keypoints=()):
    file.parent.mkdir(parents=True, exist_ok=True)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 1, 10, 8]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
        "annotations": [{**box, "keypoints": [3, 4, 2]} if keypoints else box],
        "categories": [{"id": 1, "name": name, "keypoints": list(keypoints)}],
    }
    file.write_text(json.dumps(content))


def as_coco(root, folder=""):
    for name in ("train2017", "val2017"):
        image(root / folder / name / "a.png")
        coco(root / "annotations" / f"instances_{name}.json")
        coco(root / "annotations" / f"person_keypoints_{name}.json", "person", ["nose"])
    (root / "annotations" / "captions_train2017.json").write_text("{}")


def as_export(root):
    for name in ("train", "valid", "test"):
        image(root / name / "a.png")
        coco(root / name / EXPORTED)


def as_yolo(root):
    for name in ("train", "val"):
        image(root / "images" / name / "a.png")
        (root / "labels" / name).mkdir(parents=True)
        (root / "labels" / name / "a.txt").write_text("0 0.35 0.5 0.5 0.8")
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat]\n")


def as_voc(root):
    image(root / "JPEGImages" / "a.jpg")
    box = "<xmin>3</xmin><ymin>2</ymin><xmax>12</xmax><ymax>9</ymax>"
    (root / "Annotations").mkdir()
    (root / "Annotations" / "a.xml").write_text(f"<a><object><name>cat</name><bndbox>{box}</bndbox></object></a>")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for split in ("train", "val"):
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("a")


@pytest.mark.parametrize(
    ("make", "splits"),
    [
        (as_coco, ["train", "val"]),
        (lambda root: as_coco(root, "images"), ["train", "val"]),
        (as_export, ["train", "val", "test"]),
        (as_yolo, ["train", "val"]),
        (as_voc, ["train", "val"]),
    ],
)
def test_every_format_gives_the_same_objects(tmp_path, make, splits):
    make(tmp_path)
    found = open_detections(tmp_path)
    assert list(found) == splits
    for split in found.values():
        (picture,) = split.pictures
        assert split.classes == ("cat",) and picture.instances[0].box == pytest.approx((2, 1, 12, 9))


def test_persons_with_keypoints(tmp_path):
    as_coco(tmp_path)
    assert open_detections(tmp_path, "person_keypoints")["train"].keypoints == ("nose",)


def test_splits_with_other_classes(tmp_path):
    as_coco(tmp_path)
    coco(tmp_path / "annotations" / "instances_val2017.json", "dog")
    with pytest.raises(ValueError, match=r"only one of them has 'cat', 'dog'"):
        open_detections(tmp_path)


def test_other_folders(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        open_detections(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"none of these layouts(?s:.*)data\.yaml"):
        open_detections(tmp_path)
    coco(tmp_path / "annotations" / "instances_val.json")
    image(tmp_path / "val" / "a.png")
    with pytest.raises(ValueError, match="only the splits 'val'"):
        open_detections(tmp_path)
