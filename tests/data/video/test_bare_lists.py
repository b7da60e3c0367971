"""Lists without names of columns, as PySlowFast and MMAction2 write them."""

import pytest

pytest.importorskip("av")

from wholeframe.data.video.csv_lists import read_lists


@pytest.fixture
def root(tmp_path):
    for name in ("a.mp4", "sub/b.mkv", "my video 3.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for number in range(1, 5):
        (tmp_path / "frames" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "frames" / "x" / f"img_{number:05}.jpg").touch()
    return tmp_path


def rows(root, text, name="list.txt", **options):
    (root / name).write_text(text)
    return [
        (row.video, row.path and row.path.relative_to(root).as_posix(), row.label, row.start, row.end)
        for row in read_lists(root, root, **options).rows
    ]


@pytest.mark.parametrize("delimiter", [" ", "  ", ",", ", ", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_path_and_label(root, delimiter, name):
    text = "".join(
        f"{video}{delimiter}{label}\n" for video, label in (("a.mp4", 10), ("sub/b.mkv", 9), ("gone.mp4", 2))
    )
    assert rows(root, text, name) == [
        ("a.mp4", "a.mp4", "10", None, None),
        ("sub/b.mkv", "sub/b.mkv", "9", None, None),
        ("gone.mp4", None, "2", None, None),
    ]
    found = read_lists(root / name, root)
    assert found.classes == ("2", "9", "10") and found.format == "plain"  # Integers, in the order of numbers.


def test_paths_with_spaces_and_whole_paths(root):
    text = f"my video 3.mp4 5\n{root / 'a.mp4'} 7\n"
    assert [row[1:3] for row in rows(root, text)] == [("my video 3.mp4", "5"), ("a.mp4", "7")]


def test_folders_of_frames(root):
    text = "frames/x 3 1\nframes/x 1 2 0\nframes/gone 9 4\nframes/x 6\n"
    assert rows(root, text) == [
        ("frames/x", "frames/x", "1", 0, 3),
        ("frames/x", "frames/x", "0", 1, 3),
        ("frames/gone", None, "4", 0, 9),
        ("frames/x", "frames/x", "6", None, None),
    ]
    assert read_lists(root, root).unit == "frames"


def test_labels_that_are_words_and_a_label_that_is_none(root):
    assert [row[2] for row in rows(root, "a.mp4 walk\nsub/b.mkv -1\n")] == ["walk", None]
    (root / "list.txt").write_text("a.mp4 tennis swing\n")
    assert read_lists(root / "list.txt", root).classes == ("tennis swing",)


def test_the_name_of_the_list_gives_the_split(root):
    (root / "kinetics400_val_list_videos.txt").write_text("a.mp4 0\n")
    (root / "train.csv").write_text("sub/b.mkv 1\n")
    assert [row.split for row in read_lists(root, root).rows] == ["val", "train"]


@pytest.mark.parametrize(
    "text",
    [
        ",a.mp4,3\n",
        "These are videos.\na.mp4 shows a man\n",
        "0 walk\n1 run\n",
        "walk 0\nrun 1\n",
        "\n",
        "",
        "\0\1\2 3",
    ],
)
def test_other_texts_in_a_folder_are_not_lists(root, text):
    (root / "README.txt").write_text(text)
    assert read_lists(root, root) is None


def test_a_table_that_names_no_video_exactly_is_not_a_list(root):
    (root / "labels.csv").write_text("a.csv,35,60,walk,60,79,sit,\n")
    assert read_lists(root, root) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sub/b.mkv", "list.txt', line 2: 'sub/b.mkv' is not a path and a label; write 'path label'"),
        (",7" * 70_000, "line 2: ',7,7"),
        ("," + "7" * 200_000, "line 2: ',777.*' is not a path and a label"),
        (",7", "line 2: ',7' is not a path and a label"),
        ("a.mp4 1 2", "line 2: 'a.mp4' has 2 labels; for several labels write a list with the columns"),
        ("a.mp4,sit,down", "line 2: it has 3 fields; write 'path,label'"),
        ("frames/x 1 2 3 4", "line 2: 'frames/x' has 4 numbers; write 'folder count label'"),
    ],
)
def test_lines_that_are_refused(root, line, message):
    delimiter = "," if "," in line else " "
    with pytest.raises(ValueError, match=message):
        rows(root, f"a.mp4{delimiter}1\n{line}\n")
