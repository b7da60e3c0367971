"""data.yaml of any content: what is refused, what is said, and the names that keypoints get."""

import pytest

from wholeframe.data.detection.transforms import mirrored
from wholeframe.data.detection.yolo_yaml import describes_yolo, read_names, read_yaml

SPLITS = "train: train\nval: val\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "data.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "data.yaml"

    return write


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: {0: cat, 2: dog}", "numbers its `names` 0, 2; number them from 0"),
        ("names: {1: cat, 2: dog}", "numbers its `names` 1, 2; number them from 0"),
        ("names: {false: cat}", "number them from 0"),
        ("names: [no, yes]", "has False as the name of class 0; write the name in quotes"),
        ("names: [[cat]]", "has a mapping or a list as the name of class 0"),
        ("names: [cat, cat]", "several classes that are called 'cat'"),
        ("names: cat", "has no `names` of classes"),
        ("names: [cat]\nnc: 2", "has nc: 2, and 1 `names`"),
        ("names: [cat]\nnames: [dog]", "has 'names' twice"),
        ("names: {0: cat, 0: dog}", "has '0' twice"),
        ("names: [cat]\nvalid: x", "has `val` and `valid`; leave one"),
        ("names: [cat]\nkpt_shape: 17", "has a `kpt_shape` that is not a number of keypoints"),
        ("names: [cat]\nkpt_shape: [1000000000, 3]", "has a `kpt_shape` that is not a number of keypoints"),
        ("names: [cat]\nkpt_shape: [17, 4]", "has a `kpt_shape` that is not a number of keypoints"),
        ("names: [cat]\nflip_idx: [1, 0]", "has keypoints and no `kpt_shape`"),
        ("names: [cat]\nkpt_shape: [2, 3]\nflip_idx: [1, 1]", "does not exchange 2 keypoints in pairs"),
        ("names: [cat]\nkpt_shape: [2, 3]\nflip_idx: [1, 9]", "does not exchange 2 keypoints in pairs"),
        ("names: [cat]\nkpt_shape: [2, 3]\nkpt_names: [left, right]\nflip_idx: [0, 1]", "is not the exchange of left"),
        ("names: !!int ''", "is not a YAML file"),
        ("names: !!timestamp x", "is not a YAML file"),
        ("a: [", "is not a YAML file"),
        (b"\xff\xfe\x00", "is not a YAML file"),
    ],
)
def test_what_is_refused(write, text, reason):
    text = text if isinstance(text, bytes) else f"{SPLITS}{text}\n"
    with pytest.raises(ValueError, match=reason):
        read_yaml(write(text))


@pytest.mark.parametrize("value", ["5", "{a: 1}", "[[x]]"])
def test_paths_of_other_types(write, value):
    with pytest.raises(ValueError, match="no path in `train`"):
        read_yaml(write(f"names: [cat]\ntrain: {value}\n"))


def test_several_places(write, tmp_path):
    data = read_yaml(write("names: [cat]\ntrain: [a, b.txt]\nval: c\n"))
    assert data.splits == {"train": (tmp_path / "a", tmp_path / "b.txt"), "val": (tmp_path / "c",)} and not data.notes


def test_guesses_are_noted(write, tmp_path):
    data = read_yaml(write("path: /home/me/cats\nnames: [cat]\ntrain: a\nkpt_shape: [2, 3]\n"))
    assert data.root == tmp_path
    reasons = " ".join(reason for reason, _ in data.notes)
    assert "`path` of data.yaml that is not a folder here" in reasons and "without `val`" in reasons
    assert "without `flip_idx`" in reasons and data.joints == ("keypoint 0", "keypoint 1")


def test_keypoints_that_a_flip_exchanges(write):
    """Names of which left and right are exchanged as in `flip_idx`."""
    data = read_yaml(write(f"{SPLITS}names: [cat]\nkpt_shape: [4, 3]\nflip_idx: [0, 3, 2, 1]\n"))
    assert mirrored(data.joints) == [0, 3, 2, 1] and len(set(data.joints)) == 4 and not data.notes
    named = read_yaml(write(f"{SPLITS}names: [cat]\nkpt_shape: [2, 3]\nkpt_names: {{0: [left_ear, right_ear]}}\n"))
    assert named.joints == ("left_ear", "right_ear") and not named.notes


def test_a_list_of_names_in_place_of_yaml(tmp_path):
    assert read_names(tmp_path) is None
    (tmp_path / "classes.txt").write_text("cat\ndog\n\n")
    assert read_names(tmp_path) is None
    (tmp_path / "images").mkdir()
    data = read_names(tmp_path)
    assert data.classes == ("cat", "dog") and data.splits == {"train": (tmp_path / "images",)}
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        read_names(tmp_path)


def test_which_files_describe_a_data_set(write):
    assert describes_yolo(write("names: [a]\ntrain: x\n"))
    assert not any(describes_yolo(write(text)) for text in ("a: [", "names: [a]", "- 3", ""))
