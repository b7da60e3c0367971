"""Reading CSV lists: their formats, units and splits, and the lists that are refused. No video is opened."""

from pathlib import Path

import pytest

from wholeframe.data.video.csv_lists import CHARADES, read_lists


@pytest.fixture
def root(tmp_path):
    for name in ("a.mp4", "b.mp4", "sub/b.mp4", "c.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def splits(rows):
    return [(row.video, row.split) for row in rows]


def test_a_folder_without_lists(root):
    (root / "notes.csv").write_text("something,else\n")
    assert read_lists(root, root) is None


def test_rows_of_your_own_list(root, write_list):
    write_list(
        root, "Video, Label ,start_time,end_time,split", "a.mp4,walk,0.5,,TRAIN", "c,,,2,valid", "gone.mp4,sit,,,"
    )
    (root / "notes.csv").write_text("something,else\n")
    found = read_lists(root, root)
    assert (found.format, found.classes, found.unit) == ("plain", ("sit", "walk"), "seconds")
    assert found.unread == (root / "notes.csv",)
    assert [(row.path, row.label, row.start, row.end, row.split) for row in found.rows] == [
        (root / "a.mp4", "walk", 0.5, None, "train"),
        (root / "c.mkv", None, None, 2.0, "val"),
        (None, "sit", None, None, None),
    ]


@pytest.mark.parametrize(
    ("name", "split"), [("my_train.csv", "train"), ("val.csv", "val"), ("Charades_v1_test.csv", "test")]
)
def test_the_name_of_a_list_gives_its_split(root, write_list, name, split):
    write_list(root, "video,label", "a.mp4,walk", name=name)
    assert splits(read_lists(root, root).rows) == [("a.mp4", split)]


def test_kinetics_looks_for_the_part_first(root, write_list):
    (root / "a_000010_000020.mp4").touch()
    write_list(root, "label,youtube_id,time_start,time_end,split", "walk,a,10,20,train", "walk,a,0,10,validate")
    first, second = read_lists(root, root).rows
    assert (first.path, first.start, first.end, first.split) == (root / "a_000010_000020.mp4", None, None, "train")
    assert (second.path, second.start, second.end, second.split) == (root / "a.mp4", 0, 10, "val")


def test_charades_has_all_classes_whatever_the_list_has(root, write_list):
    write_list(root, "id,actions", "a,c092 0.50 1.00;c147 0.00 2.60", "c,")
    found = read_lists(root, root)
    assert found.classes == CHARADES and len(CHARADES) == 157
    assert [(row.video, row.label, row.start, row.end) for row in found.rows] == [
        ("a", "c092", 0.5, 1.0),
        ("a", "c147", 0.0, 2.6),
        ("c", None, None, None),
    ]
    write_list(root, "id,actions", "a,c156 0.00")
    with pytest.raises(ValueError, match=r"line 2: the action 'c156 0.00' is not a class, a start and an end"):
        read_lists(root, root)


def test_the_unit_of_start_and_end_has_to_be_given(root, write_list):
    write_list(root, "video,start,end,label", "a.mp4,0,25,x")
    with pytest.raises(ValueError, match='give unit="frames" or unit="seconds"'):
        read_lists(root, root)
    assert read_lists(root, root, "frames").unit == "frames"


def test_units_that_differ(root, write_list):
    write_list(root, "video,start_frame,end_frame,label", "a.mp4,0,25,x", name="1.csv")
    write_list(root, "video,start_time,end_time,label", "a.mp4,0,25,x", name="2.csv")
    with pytest.raises(ValueError, match="has lists in frames and lists in seconds; give the path of one of them"):
        read_lists(root, root)


def test_a_number_that_is_not_one(root, write_list):
    write_list(root, "video,start_time,end_time,label", "a.mp4,0,x,walk")
    with pytest.raises(ValueError, match=r"list.csv', line 2: end_time is 'x', which is not a number"):
        read_lists(root, root)


def test_a_name_of_two_files(root, write_list):
    write_list(root, "video,label", "b,walk")
    assert Path(read_lists(root, root / "sub").rows[0].path).parent.name == "sub"
    (root / "other").mkdir()
    (root / "other" / "b.mp4").touch()
    message = r"'b' in the list may be any of '.*b.mp4', '.*b.mp4' and 1 more; give its path relative to"
    with pytest.raises(ValueError, match=message):
        read_lists(root, root)


def test_several_formats(root, write_list):
    write_list(root, "video,label", "a.mp4,walk")
    write_list(root, "id,actions", "a,c000 0 1", name="other.csv")
    with pytest.raises(ValueError, match=r"lists of several formats: 'list.csv' \(plain\), 'other.csv' \(charades\)"):
        read_lists(root, root)


def test_a_file_that_is_not_a_list(root, write_list):
    write_list(root, "something,else", name="third.csv")
    with pytest.raises(ValueError, match="is not a list of videos: its first line must name one of"):
        read_lists(root / "third.csv", root)
