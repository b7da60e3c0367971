"""Which file belongs to which folder of images, and what of a data set is not read."""

import pytest

from wholeframe.data.detection.coco_layouts import coco_splits


@pytest.fixture
def write(tmp_path):
    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("{}")
        return tmp_path

    return write


def test_files_and_folders_that_have_no_partner(write):
    root = write(
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "annotations/instances_train_small.json",
        "images/train2017/a.jpg",
        "test2017/a.jpg",
    )
    found, parts = coco_splits(root, "instances")
    assert found == {"train": (root / "annotations/instances_train2017.json", root / "images/train2017")}
    assert parts == [
        ("file of a split without a folder of images, left out", "instances_val2017.json"),
        ("folder of a split without a file of annotations, left out", "test2017"),
        ("file whose name is not that of a split, left out", "instances_train_small.json"),
    ]


def test_two_files_of_one_split(write):
    images = [f"train{year}/a.jpg" for year in (2014, 2017)]
    files = [f"annotations/instances_train{year}.json" for year in (2014, 2017)]
    with pytest.raises(ValueError, match=r"several files for train: .*train2014\.json', .*train2017\.json'; leave one"):
        coco_splits(write(*images, *files), "instances")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("annotations/captions_train2017.json", "train2017/a.jpg"), "has captions_train2017.json, train2017/, which"),
        (("annotations/instances_train2017.json",), "has instances_train2017.json, which is not a file with"),
        (("train/cat/a.jpg", "val/cat/a.jpg"), "has train/, val/, which is not a file with"),
        (("package.json",), "has package.json, which is not a file with"),
    ],
)
def test_other_folders(write, names, reason):
    with pytest.raises(ValueError, match=reason):
        coco_splits(write(*names), "instances")


def test_nothing(tmp_path):
    assert coco_splits(tmp_path, "instances") == ({}, [])
