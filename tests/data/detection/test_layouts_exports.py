"""The folders that labelling tools export, in miniature: each is read without a word about its tool."""

import json

import pytest
from PIL import Image

from wholeframe.data.detection.layouts import open_detections

BOX = "0 0.35 0.5 0.5 0.8\n"
MOVED = "found by its end"


class Export:
    """Files of a data set in a folder; every image has 20 x 10 pixels and a cat at (2, 1, 12, 9)."""

    def __init__(self, root):
        self.root = root

    def text(self, **files):
        for name, content in files.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    def images(self, *names):
        for name in names:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 10)).save(self.root / name)

    def coco(self, file, *names, categories=({"id": 1, "name": "cat"},)):
        content = {
            "images": [{"id": k, "file_name": name, "width": 20, "height": 10} for k, name in enumerate(names)],
            "annotations": [
                {"id": k, "image_id": k, "category_id": 1, "bbox": [2, 1, 10, 8], "area": 80, "segmentation": []}
                for k in range(len(names))
            ],
            "categories": list(categories),
        }
        self.text(**{file: json.dumps(content)})

    def voc(self, *names):
        box = "<bndbox><xmin>3</xmin><xmax>12</xmax><ymin>2</ymin><ymax>9</ymax></bndbox>"
        for name in names:
            image = name.rpartition("/")[2].replace(".xml", ".jpg")
            cat = f"<object><name>cat</name><pose>Unspecified</pose><difficult>0</difficult>{box}</object>"
            self.text(**{name: f"<annotation><filename>{image}</filename>{cat}</annotation>"})


def roboflow_coco(export):
    group = {"id": 0, "name": "cat", "supercategory": "none"}
    for split in ("train", "valid", "test"):
        export.images(f"{split}/{split}_jpg.rf.abc.jpg")
        one = {"id": 1, "name": "cat", "supercategory": "cat"}
        export.coco(f"{split}/_annotations.coco.json", f"{split}_jpg.rf.abc.jpg", categories=(group, one))
    export.text(**{"README.dataset.txt": "cats"})


def roboflow_yolo(export):
    for split in ("train", "valid", "test"):
        export.images(f"{split}/images/{split}.jpg")
        export.text(**{f"{split}/labels/{split}.txt": BOX})
    paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    export.text(**{"data.yaml": f"{paths}nc: 1\nnames: ['cat']\nroboflow:\n  workspace: w\n"})


def roboflow_voc(export):
    for split in ("train", "valid", "test"):
        export.images(f"{split}/{split}.jpg")
        export.voc(f"{split}/{split}.xml")


def cvat_coco(export):
    export.images("images/default/a.jpg")
    export.coco("annotations/instances_default.json", "a.jpg")


def cvat_coco_subsets(export):
    for split in ("Train", "Validation", "Test"):
        export.images(f"images/{split}/{split}.jpg")
        export.coco(f"annotations/instances_{split}.json", f"{split}.jpg")


def cvat_darknet(export):
    export.images("obj_train_data/a.jpg")
    export.text(**{"obj_train_data/a.txt": BOX, "train.txt": "data/obj_train_data/a.jpg\n", "obj.names": "cat\n"})
    export.text(**{"obj.data": "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n"})


def cvat_ultralytics(export):
    for split in ("train", "val", "test"):
        export.images(f"images/{split}/{split}.jpg")
        export.text(**{f"labels/{split}/{split}.txt": BOX, f"{split}.txt": f"data/images/{split}/{split}.jpg\n"})
    export.text(**{"data.yaml": "names:\n  0: cat\npath: .\ntrain: train.txt\nval: val.txt\ntest: test.txt\n"})


def cvat_voc(export):
    export.images("JPEGImages/a.jpg")
    export.voc("Annotations/a.xml")
    export.text(**{"ImageSets/Main/default.txt": "a\n", "labelmap.txt": "# label\n"})


def label_studio_coco(export):
    export.images("images/a.jpg")
    export.coco("result.json", "images/a.jpg")


def label_studio_windows(export):
    export.images("images/a.jpg")
    export.coco("result.json", "..\\..\\label-studio\\data\\media\\upload\\1\\a.jpg")


def label_studio_yolo(export):
    export.images("images/a.jpg")
    export.text(**{"labels/a.txt": BOX, "classes.txt": "cat\n", "notes.json": "{}"})


def label_studio_voc(export):
    export.images("images/a.jpg")
    export.voc("Annotations/a.xml")


def labelme_coco(export):
    export.images("JPEGImages/a.jpg")
    background = {"id": 0, "name": "_background_", "supercategory": None}
    export.coco("annotations.json", "JPEGImages/a.jpg", categories=(background, {"id": 1, "name": "cat"}))


def labelimg(export):
    export.images("a.jpg")
    export.voc("a.xml")


def fiftyone_coco(export):
    export.images("data/a.jpg")
    export.coco("labels.json", "a.jpg")


def fiftyone_coco_splits(export):
    for split in ("train", "validation", "test"):
        export.images(f"{split}/data/{split}.jpg")
        export.coco(f"{split}/labels.json", f"{split}.jpg")


def fiftyone_yolo(export):
    for split in ("train", "val", "test"):
        export.images(f"images/{split}/{split}.jpg")
        export.text(**{f"labels/{split}/{split}.txt": BOX})
    paths = "".join(f"{split}: ./images/{split}/\n" for split in ("train", "val", "test"))
    export.text(**{"dataset.yaml": f"names:\n  0: cat\nnc: 1\npath: /home/me/export\n{paths}"})


def fiftyone_voc(export):
    export.images("data/a.jpg")
    export.voc("labels/a.xml")


def mmdetection(export):
    for split in ("train", "val", "test"):
        export.images(f"{split}/{split}.jpg")
        export.coco(f"annotations/{split}.json", f"{split}.jpg")


def with_other_yaml(export):
    mmdetection(export)
    export.text(**{"config.yaml": "lr: 0.1\n", ".pre-commit-config.yaml": "repos: []\n"})


WITH_SPLITS = (
    roboflow_coco,
    roboflow_yolo,
    roboflow_voc,
    cvat_coco_subsets,
    cvat_ultralytics,
    fiftyone_coco_splits,
    fiftyone_yolo,
    mmdetection,
    with_other_yaml,
)
WHOLE = (
    cvat_coco,
    cvat_darknet,
    cvat_voc,
    label_studio_coco,
    label_studio_windows,
    label_studio_yolo,
    label_studio_voc,
    labelme_coco,
    labelimg,
    fiftyone_coco,
    fiftyone_voc,
)
SAID = {
    roboflow_coco: "category without annotations that groups others",
    cvat_darknet: MOVED,
    cvat_ultralytics: MOVED,
    label_studio_windows: MOVED,
    labelme_coco: "category of the background",
    fiftyone_yolo: "`path` of dataset.yaml that is not a folder here",
}
"""what is guessed or left out, which is said; nothing else is"""


@pytest.mark.parametrize("make", [*WITH_SPLITS, *WHOLE], ids=lambda make: make.__name__)
def test_exports(tmp_path, make):
    make(Export(tmp_path))
    found = open_detections(tmp_path)
    assert list(found) == (["train", "val", "test"] if make in WITH_SPLITS else ["train"])
    for split in found.values():
        (picture,) = split.pictures
        assert split.classes == ("cat",) and picture.instances[0].box == pytest.approx((2, 1, 12, 9))
        assert [SAID[make] in reason for reason in split.account.cases] == ([True] if make in SAID else [])


def test_two_data_sets_in_one_folder(tmp_path):
    export = Export(tmp_path)
    export.text(**{f"{name}.yaml": "names: [cat]\ntrain: images\n" for name in ("cats", "dogs")})
    with pytest.raises(ValueError, match=r"several data sets of YOLO, 'cats.yaml', 'dogs.yaml'; give one"):
        open_detections(tmp_path)


def test_an_image_in_two_splits(tmp_path):
    export = Export(tmp_path)
    export.images("images/a.jpg")
    export.text(**{"labels/a.txt": BOX, "data.yaml": "names: [cat]\ntrain: images\nval: images\n"})
    found = open_detections(tmp_path)
    assert found["val"].account.cases == {"image that train has too, kept in both": ["a.jpg"]}
    assert not found["train"].account.cases


def test_xml_files_that_no_list_names(tmp_path):
    export = Export(tmp_path)
    export.images("JPEGImages/a.jpg", "JPEGImages/b.jpg")
    export.voc("Annotations/a.xml", "Annotations/b.xml")
    export.text(**{"ImageSets/Main/train.txt": "a\n"})
    assert "XML file that no list of a split names, left out (b.xml)" in open_detections(tmp_path)["train"].describe()


def test_keypoints_that_are_not_there(tmp_path):
    roboflow_coco(Export(tmp_path))
    with pytest.raises(ValueError, match="has no keypoints; give objects='instances'"):
        open_detections(tmp_path, "person_keypoints")
    with pytest.raises(ValueError, match="objects='captions' is not one of 'instances', 'person_keypoints'"):
        open_detections(tmp_path, "captions")


def test_a_file_in_place_of_a_folder(tmp_path):
    Export(tmp_path).coco("labels.json")
    with pytest.raises(ValueError, match=r"labels\.json' is a file; give the folder"):
        open_detections(tmp_path / "labels.json")
