"""The text of lists: every encoding and delimiter, and lines that are refused with their number."""

import pytest

from wholeframe.data.video.list_text import DELIMITERS, first_line, lines_of, split_fields, table

ROWS = [(2, {"video": "é.mp4", "label": "läuft"}), (3, {"video": "b.mp4", "label": ""})]
TEXT = "Video,Label\né.mp4,läuft\nb.mp4\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, encoding, end):
    (tmp_path / "list.csv").write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert first_line(tmp_path / "list.csv") == "Video,Label"
    assert list(table(tmp_path / "list.csv", ",")) == ROWS


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_delimiters(tmp_path, delimiter):
    (tmp_path / "list").write_text(TEXT.replace(",", delimiter))
    assert split_fields(first_line(tmp_path / "list"), delimiter) == ["Video", "Label"]
    assert list(table(tmp_path / "list", delimiter)) == ROWS


def test_quotes_blank_lines_and_spare_fields(tmp_path):
    (tmp_path / "list").write_text('\n video , label \n\n"a, b.mp4", "say ""hi""",,\n ,\n')
    assert list(table(tmp_path / "list", ",")) == [(4, {"video": "a, b.mp4", "label": 'say "hi"'})]


def test_bytes_of_a_file_name_are_kept(tmp_path):
    (tmp_path / "list").write_bytes(b"video,label\n\xff.mp4,x\n")
    assert next(table(tmp_path / "list", ","))[1]["video"].encode(errors="surrogateescape") == b"\xff.mp4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a,b\n1,2,3\n",
            r"list', line 2: it has 3 fields, but there are 2 columns \(a, b\); put a field that contains ','",
        ),
        ('a,b\n1,"2\n3,4\n', "line 2: its quotes are not those of a CSV file .unexpected end of data"),
        ('a,b\n1,"2"x\n', "line 2: its quotes are not those of a CSV file"),
        (f"a,b\n{'x' * 200_000},1\n", "line 2: its quotes are not those of a CSV file .field larger than"),
        ("a,b,A\n", "line 1: the columns 'a' are there twice; remove or rename one of each"),
    ],
)
def test_lines_that_are_refused(tmp_path, content, message):
    (tmp_path / "list").write_text(content)
    with pytest.raises(ValueError, match=message):
        list(table(tmp_path / "list", ","))


def test_not_text_in_its_encoding(tmp_path):
    (tmp_path / "list").write_bytes("a,b\n".encode("utf-16") + b"\0")
    with pytest.raises(ValueError, match=r"list' is not text in utf-16 \(truncated data\); save it as UTF-8"):
        lines_of(tmp_path / "list")
