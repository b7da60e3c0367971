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


def test_several_folders_and_lists(write, tmp_path):
    (tmp_path / "images" / "train" / "more").mkdir(parents=True)
    data = write("0 0.5 0.5 0.5 0.4", YAML.replace("images/train", "[images/train, images/val, list.txt, lost]"))
    (tmp_path / "list.txt").write_text(
        "\ufeffimages/train/a.png\r\nC:\\x\\images\\val\\b.png\r\nnowhere.png\r\nimg\0\r\n"
    )
    found = read_yolo(data, "train")
    assert [p.file.parent.name for p in found.pictures] == ["train", "train", "val", "val"]
    cases = found.account.cases
    assert cases["image that is not on disk, left out"] == ["nowhere.png", "img\\x00"]
    assert cases["path of an image that is another one in the folder, found by its end"] == [
        "C:\\x\\images\\val\\b.png"
    ]
    assert cases["folder or list of images that is not on disk, left out"] == [str(tmp_path / "lost")]


def test_text_in_other_encodings_and_twice(write, tmp_path):
    data = write("0 0.5 0.5 0.5 0.4\n0  0.5 0.5 0.5 0.4\n")
    (tmp_path / "labels" / "train" / "b.txt").write_text("\ufeff1 0.5 0.5 0.5 0.4\n")
    found = read_yolo(data, "train")
    assert [i.label for p in found.pictures for i in p.instances] == [1, 2]
    assert found.account.cases == {"line that is there twice, the later one left out": ["a.txt line 2"]}
    (tmp_path / "labels" / "train" / "b.txt").write_bytes("1 0.5 0.5 0.5 0.4\n".encode("utf-16"))
    assert "line that is not made of numbers, left out (b.txt line 1" in read_yolo(data, "train").describe()


def test_images_and_text_files_that_are_damaged_or_gone(write, tmp_path):
    data = write("0 0.5 0.5 0.5 0.4")
    folder, labels = tmp_path / "images" / "train", tmp_path / "labels" / "train"
    (folder / "b.png").write_bytes(b"x")
    (folder / "c.png").mkdir()
    (labels / "d.txt").write_text("0 0.5 0.5 0.5 0.4")
    (labels / "classes.txt").write_text("cat")
    found = read_yolo(data, "train")
    assert [p.file.name for p in found.pictures] == ["a.png"]
    assert found.account.cases == {
        "image that cannot be read, left out": ["b.png"],
        "text file whose image is not on disk, left out": ["d.txt"],
    }
    (labels / "a.txt").unlink()
    (labels / "a.txt").mkdir()
    with pytest.raises(ValueError, match=r"where no image can be read \(.*text file that cannot be read"):
        read_yolo(data, "train")


def test_text_files_next_to_their_images(write, tmp_path):
    """As darknet has them."""
    data = write("")
    (tmp_path / "images" / "train" / "b.txt").write_text("0 0.5 0.5 0.5 0.4")
    assert [len(p.instances) for p in read_yolo(data, "train").pictures] == [0, 1]


def test_pixels_in_place_of_fractions(write):
    with pytest.raises(ValueError, match=r"none of the 2 lines .* fractions of the image from 0 to 1, such as `0 0\.5"):
        read_yolo(write("0 100 50 20 30\n1 10 20 30 40\n"), "train")


def test_polygons_among_boxes_are_said(write):
    found = read_yolo(write("0 0.1 0.1 0.6 0.1 0.6 0.9 0.1 0.9\n0 0.5 0.5 0.5 0.4"), "train")
    assert not found.masks and "1 x object without a mask where others have one" in found.describe()


def test_a_split_without_images(write):
    data = write("", YAML.replace("images/train", "nowhere"))
    with pytest.raises(ValueError, match=r"nowhere' for train, where there are no images"):
        read_yolo(data, "train")
