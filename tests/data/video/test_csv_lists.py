"""Reading CSV lists: their formats, units and splits, and the lists that are refused. No video is opened."""

import random
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


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-inf", "1e999", "x", "1,5"])
@pytest.mark.parametrize("column", ["start_time", "end_time"])
def test_times_that_are_no_numbers(root, write_list, column, number):
    times = {"start_time": "0", "end_time": "1", column: f'"{number}"'}
    write_list(
        root, "video,label,start_time,end_time", "a.mp4,walk,,", f"c,sit,{times['start_time']},{times['end_time']}"
    )
    with pytest.raises(
        ValueError, match=rf"list.csv', line 3: {column} is '{number}', which is not a number; leave it"
    ):
        read_lists(root, root)


@pytest.mark.parametrize("number", ["nan", "inf", "x"])
def test_times_of_charades_that_are_no_numbers(root, write_list, number):
    write_list(root, "id,actions", f"a,c000 0 1;c001 {number} 2")
    with pytest.raises(
        ValueError, match=rf"list.csv', line 2: the action 'c001 {number} 2' is not a class, a start and"
    ):
        read_lists(root, root)


@pytest.mark.parametrize(
    ("there", "lacking"), [("start_time", "end_time"), ("end_frame", "start_frame"), ("end", "start")]
)
def test_a_start_without_an_end(root, write_list, there, lacking):
    write_list(root, f"video,label,{there}", "a.mp4,walk,1")
    with pytest.raises(ValueError, match=f"has a column {there}, but no column {lacking}; add it"):
        read_lists(root, root)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("video,label,split", "a.mp4,walk,tset"),
        ("label,youtube_id,time_start,time_end,split", "walk,a,0,1,tset"),
        ("id,actions,split", "a,c000 0 1,tset"),
    ],
)
def test_an_unknown_split(root, write_list, header, row):
    write_list(root, header, row)
    with pytest.raises(ValueError, match=r"list.csv', line 2: the split 'tset' is not one of train, val and test"):
        read_lists(root, root)


def test_lists_without_lines(root, write_list):
    write_list(root, "video,label")
    with pytest.raises(ValueError, match="names columns, but has no line below them; add a line for each video"):
        read_lists(root / "list.csv", root)
    write_list(root, "video,label", "a.mp4,walk", name="train.csv")
    assert read_lists(root, root).notes == ("without a line: 'list.csv'",)


def test_integer_labels_sort_as_numbers(root, write_list):
    write_list(root, "video,label", "a.mp4,10", "b.mp4,9", "c,2")
    assert read_lists(root, root).classes == ("2", "9", "10")
    write_list(root, "video,label", "a.mp4,10", "c,9b")
    assert read_lists(root, root).classes == ("10", "9b")


@pytest.mark.parametrize("header", ["path label", "file;label", "filename\tclass", "VIDEO|LABEL"])
def test_other_names_and_delimiters_of_your_own_list(root, header):
    delimiter = next(character for character in " ;\t|" if character in header)
    (root / "list.csv").write_text(f"{header}\na.mp4{delimiter}walk\n", encoding="utf-16")
    (row,) = read_lists(root, root).rows
    assert (row.path, row.label, row.where) == (root / "a.mp4", "walk", "'list.csv', line 2")


def test_columns_that_are_not_used_are_said(root, write_list):
    write_list(root, "video,start_frame,end_frame,label,begin,fps", "a.mp4,0,9,walk,1,25")
    found = read_lists(root, root)
    assert found.notes == ("columns that are not used: 'begin'",) and found.rows[0].fps == 25


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("video,label", ",walk", "line 2: the field video is empty; name a video, or remove the line"),
        ("video,label,fps", "a.mp4,walk,0", "line 2: fps is 0, which is not a number of frames per second"),
        ("video,label", "a.mp4,walk,sit", "line 2: it has 3 fields, but there are 2 columns"),
        ("video,label", "b,walk", "line 2: 'b' in the list may be any of"),
    ],
)
def test_lines_that_are_refused(root, write_list, header, row, message):
    write_list(root, header, row)
    with pytest.raises(ValueError, match=message):
        read_lists(root, root)


def test_a_label_that_is_not_utf8(root):
    (root / "list.csv").write_bytes("video,label\na.mp4,läuft\n".encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"list.csv', line 2: the label 'l\\udce4uft' is not UTF-8; save the list as UTF-8"
    ):
        read_lists(root, root)


WHOLE = [
    "video,label,start_time,end_time,split\na.mp4,walk,0,1,train\nb.mp4,sit,,,val\n",
    'label,youtube_id,time_start,time_end,split\nwalk,a,0,10,train\n"sit, down",c,1,2,test\n',
    "id,actions,length\na,c092 0.50 1.00;c147 0.00 2.60,3\nc,,2\n",
    "a.mp4 10\nsub/b.mp4 9\nc.mkv 0\n",
    "video;start_frame;end_frame;label\na.mp4;0;10;läuft\n",
]


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 200), *(pytest.param(seed, 3000, marks=pytest.mark.slow) for seed in range(1, 3))]
)
def test_damaged_lists_give_rows_or_a_sentence(root, seed, count):
    draw, file = random.Random(seed), root / "list.csv"
    refused = 0
    for number in range(count):
        data = bytearray(WHOLE[number % len(WHOLE)].encode(draw.choice(["utf-8", "utf-8", "utf-16", "utf-8-sig"])))
        for _ in range(draw.randint(1, 5)):
            at = draw.randrange(len(data) + 1)
            put = draw.choice(
                [b"", b"\0", b'"', b",", b"\n", b"\r", b";", b"nan", b"\xff\xfe", b"-1e400", draw.randbytes(3)]
            )
            data[at : at + draw.choice([0, 1, 1, 5])] = put
        file.write_bytes(data)
        for place in (root, file):
            try:
                found = read_lists(place, root)
            except ValueError as error:
                refused += 1
                assert str(error).startswith(f"'{root}") and "\n" not in str(error) and len(str(error)) < 1000, data
            else:
                assert found is None or (found.rows and all(row.video for row in found.rows)), data
    assert 0 < refused < 2 * count
