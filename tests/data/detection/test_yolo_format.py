"""YOLO's text files: boxes, polygons, keypoints, and what cannot be used."""

import pytest
from PIL import Image

from wholeframe.data.detection.yolo_format import read_yolo
from wholeframe.data.detection.yolo_yaml import read_yaml

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"


@pytest.fixture
def write(tmp_path):
    """`write(lines, yaml)`: one image of 20 x 10 pixels with these lines, and one without a text file."""

    def write(lines, yaml=YAML):
        for split in ("train", "val"):
            (tmp_path / "images" / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "labels" / split).mkdir(parents=True, exist_ok=True)
            for name in ("a", "b"):
                Image.new("RGB", (20, 10)).save(tmp_path / "images" / split / f"{name}.png")
        (tmp_path / "labels" / "train" / "a.txt").write_text(lines)
        (tmp_path / "data.yaml").write_text(yaml)
        return read_yaml(tmp_path / "data.yaml")

    return write


def test_boxes_are_fractions_of_the_image(write):
    found = read_yolo(write("1 0.5 0.5 0.5 0.4\n\n0 0.1 0.2 0.2 0.4\n"), "train")
    first, second = found.pictures[0].instances
    assert (first.label, first.box) == (2, pytest.approx((5, 3, 15, 7)))
    assert (second.label, second.box) == (1, pytest.approx((0, 0, 4, 4)))
    assert found.classes == ("cat", "dog") and not found.masks
    assert "1 x image without a text file" in found.describe() and found.pictures[1].instances == ()


def test_polygons(write):
    found = read_yolo(write("0 0.1 0.1 0.6 0.1 0.6 0.9 0.1 0.9\n"), "train")
    (instance,) = found.pictures[0].instances
    assert instance.box == pytest.approx((2, 1, 12, 9)) and instance.area == pytest.approx(80) and found.masks


@pytest.mark.parametrize(("size", "points"), [(3, "0.25 0.5 1 0 0 0"), (2, "0.25 0.5 0 0")])
def test_keypoints(write, size, points):
    data = write(f"0 0.5 0.5 0.5 0.4 {points}\n", YAML + f"kpt_shape: [2, {size}]\n")
    found = read_yolo(data, "train")
    visible = 1 if size == 3 else 2
    assert found.pictures[0].instances[0].keypoints == ((5, 5, visible), (0, 0, 0)) and len(found.keypoints) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("cat 0.5 0.5 0.5 0.4", "not made of numbers"),
        ("2 0.5 0.5 0.5 0.4", "class 2 of 2"),
        ("-1 0.5 0.5 0.5 0.4", "class -1 of 2"),
        ("0 0.5 0.5 0 0.4", "without area"),
        ("0 1.5 0.5 0.1 0.4", "outside its image"),
        ("0 nan 0.5 0.1 0.4", "without area"),
        ("0 0.5 0.5 0.5", "line of 3 numbers"),
        ("0 0.5 0.5 0.5 0.4 0.9", "line of 5 numbers"),
        ("0", "line of 0 numbers"),
    ],
)
def test_lines_that_cannot_be_used(write, line, reason):
    found = read_yolo(write(f"0 0.5 0.5 0.5 0.4\n{line}\n"), "train")
    assert len(found.pictures[0].instances) == 1
    (kind,) = [kind for kind in found.account.cases if "text file" not in kind]
    assert reason in kind and found.account.cases[kind] == ["a.txt line 2"]


def test_a_list_of_images(write, tmp_path):
    data = write("0 0.5 0.5 0.5 0.4", YAML.replace("images/train", "list.txt"))
    (tmp_path / "list.txt").write_text("images/train/a.png\n")
    assert [p.file.name for p in read_yolo(data, "train").pictures] == ["a.png"]


def test_the_paths_that_labelling_tools_write(write):
    data = write("0 0.5 0.5 0.5 0.4", "train: ../images/train\nval: ../images/val\nnames: {0: cat, 1: dog}\n")
    assert read_yolo(data, "train").instances == 1 and data.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [("a: [", "not a YAML"), ("train: x", "no `names`"), ("names: [a]", "no `train`"), ("3", "no `names`")],
)
def test_other_yaml_files(write, yaml, reason):
    with pytest.raises(ValueError, match=reason):
        write("", yaml)


def test_a_split_without_images(write):
    data = write("", YAML.replace("images/train", "nowhere"))
    with pytest.raises(ValueError, match=r"nowhere' for train, where there are no images"):
        read_yolo(data, "train")
