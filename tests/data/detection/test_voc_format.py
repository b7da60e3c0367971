"""Pascal VOC's XML files."""

import pytest
from PIL import Image

from wholeframe.data.detection.dataset import DetectionDataset
from wholeframe.data.detection.voc_format import read_voc, unlisted, voc_splits


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
        (entry().replace("<name>", "<name>dog</name><name>"), "with two names"),
        (entry(box=("1e400", 5, 4, 9)), "without area"),
        ("<object>" + 5000 * "<x>" + 5000 * "</x>" + "<name>cat</name></object>", "without area"),
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


def test_objects_that_are_kept_and_said(write):
    found = read_voc(write({"a": entry(box=(-5, 2, 12, 9)) + entry(difficult="maybe") + entry() + entry()}), "train")
    assert [i.box for i in found.pictures[0].instances] == [(0, 1, 12, 9), (2, 1, 12, 9)]
    assert found.account.cases == {
        "box that reaches over the edge of its image, cut there": ["a.xml object 1"],
        "object whose <difficult> is not 0 or 1, left out": ["a.xml object 2"],
        "object that is there twice, the later one left out": ["a.xml object 4"],
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"<annotation>\0</annotation>", "cannot be read"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "cannot be read"),
        (b"<annotations><image name='a.jpg'><box/></image></annotations>", "of another kind (<annotations>"),
        (b"<html/>", "of another kind (<html>"),
    ],
)
def test_files_of_other_kinds(write, content, reason):
    root = write({"a": entry(), "b": entry()})
    (root / "Annotations" / "b.xml").write_bytes(content)
    found = read_voc(root, "train")
    assert [p.file.name for p in found.pictures] == ["a.jpg"] and reason in found.describe()


def test_the_size_in_the_file_is_that_of_the_annotations(write):
    """An image of another size is refused when it is read."""
    size = "<size><width>10</width><height>20</height></size>"
    zeros = "<size><width>0</width><height>0</height></size>"
    found = read_voc(write({"a": size + entry(box=(1, 1, 9, 9)), "b": zeros + entry()}), "train")
    assert [(p.width, p.height) for p in found.pictures] == [(10, 20), (20, 10)]
    with pytest.raises(ValueError, match=r"of 20 x 10 pixels .*EXIF.* for 10 x 20"):
        DetectionDataset(found)[0]


def test_an_image_of_another_name(write):
    """The name of the XML file counts, as in the lists of VOC, if there is such an image."""
    root = write({"a": entry(), "b": entry()})
    file = root / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("a.jpg", "b.jpg"))
    found = read_voc(root, "train")
    assert [p.file.name for p in found.pictures] == ["a.jpg", "b.jpg"]
    assert found.account.cases == {
        "name of the image in an XML file that differs from its own, 'a.jpg' read": ["a.xml"]
    }
    (root / "JPEGImages" / "a.jpg").unlink()
    found = read_voc(root, "train")
    assert [p.file.name for p in found.pictures] == ["b.jpg", "b.jpg"]
    assert "image of several XML files, kept with each of them (b.xml)" in found.describe()


def test_lists_with_other_lines(write):
    root = write({"a": entry(), "my b": entry()}, {"train": ["a  1", "my b", "a", "../x", "/etc/passwd", "c"]})
    found = read_voc(root, "train")
    assert [p.file.name for p in found.pictures] == ["a.jpg", "my b.jpg"]
    assert found.account.cases == {
        "image that its list names twice, read once": ["a"],
        "name in a list that leads out of its folder, left out": ["../x", "/etc/passwd"],
        "XML file that is not on disk, its image left out": ["c.xml"],
    }
    (root / "ImageSets" / "Main" / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not a text file in UTF-8"):
        read_voc(root, "train")


def test_files_that_belong_to_nothing_are_said(write):
    root = write({"a": entry(), "b": entry()}, {"train": ["a"]})
    assert unlisted(root) == ["b"]
    (root / "ImageSets" / "Main" / "train.txt").unlink()
    (root / "Annotations" / "b.xml").unlink()
    assert "1 x image without an XML file, left out (b.jpg)" in read_voc(root, "train").describe()


def test_objects_of_which_none_can_be_used(write):
    with pytest.raises(ValueError, match=r"none of the 1 objects of the split 'train' .*outside its image"):
        read_voc(write({"a": entry(box=(50, 50, 60, 60))}), "train")


def test_wrong_splits(write):
    root = write({"a": entry()}, {"train": ["a"]})
    with pytest.raises(ValueError, match=r"no list 'ImageSets/Main/test\.txt'; there are train"):
        read_voc(root, "test")
    (root / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="no image of the split 'train' that can be read"):
        read_voc(root, "train")
