"""Pascal VOC's XML files."""

import pytest
from PIL import Image

from wholeframe.data.detection.voc_format import read_voc, voc_splits


def entry(name="cat", box=(3, 2, 12, 9), difficult=0):
    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


@pytest.fixture
def write(tmp_path):
    """`write({name: objects}, {split: names})`: images of 20 x 10 pixels."""

    def write(files, lists=None):
        for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, objects in files.items():
            Image.new("RGB", (20, 10)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
            text = f"<annotation><filename>C:\\photos\\{name}.jpg</filename>{objects}</annotation>"
            (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
        for split, names in (lists or {}).items():
            (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
        return tmp_path

    return write


def test_corners_count_from_one_and_belong_to_the_box(write):
    root = write({"a": entry() + entry("dog", (1, 1, 20, 10), 1), "b": ""}, {"train": ["a", "b"], "cat_train": ["a"]})
    found = read_voc(root, "train")
    cat, dog = found.pictures[0].instances
    assert found.classes == ("cat", "dog") and voc_splits(root) == ("train",)
    assert (cat.label, cat.box, cat.crowd, cat.area) == (1, (2, 1, 12, 9), False, 80)
    assert (dog.label, dog.box, dog.crowd) == (2, (0, 0, 20, 10), True)
    assert not found.account.cases and "1 without any" in found.describe()


def test_without_lists_all_files_are_read(write):
    assert len(read_voc(write({"a": entry(), "b": entry()}), "train").pictures) == 2


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        (entry("bird"), "class 'bird'"),
        (entry(box=(5, 5, 4, 9)), "without area"),
        (entry(box=("x", 5, 4, 9)), "without area"),
        ("<object><name>cat</name></object>", "without area"),
    ],
)
def test_objects_that_cannot_be_used(write, objects, reason):
    found = read_voc(write({"a": entry() + objects}), "train", ["cat", "dog"])
    (kind,) = found.account.cases
    assert found.instances == 1 and reason in kind


def test_files_that_are_broken_or_absent(write, tmp_path):
    root = write({name: entry() for name in "abc"}, {"train": ["a", "b", "c", "d"]})
    (root / "Annotations" / "b.xml").write_text("<annotation>")
    (root / "JPEGImages" / "c.jpg").unlink()
    found = read_voc(root, "train")
    assert [p.file.name for p in found.pictures] == ["a.jpg"]
    assert list(found.account) == [
        ("b.xml", "XML file that cannot be read, its image left out"),
        ("d.xml", "XML file that is not on disk, its image left out"),
        ("c", "image that is not on disk, left out"),
    ]


def test_wrong_splits(write):
    root = write({"a": entry()}, {"train": ["a"]})
    with pytest.raises(ValueError, match=r"no list 'ImageSets/Main/test\.txt'; there are train"):
        read_voc(root, "test")
    (root / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="no image of the split 'train' that can be read"):
        read_voc(root, "train")
