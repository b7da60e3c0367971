"""The text of a list: its encoding, its delimiter, and the fields of its lines, each with the number of the line."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from wholeframe.messages import in_quotes, listed, shown

TimeUnit = Literal["frames", "seconds"]
"""What the times in a list count."""

DELIMITERS = (",", ";", "\t", "|", " ")
"""What may separate fields. A file is read with the one that separates the names of known columns in its first line."""

HEAD = 2**16
LINE = re.compile("\r\n?|\n")
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32"}
BOMS |= {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def refuse_line(file: Path, line: int, why: str) -> NoReturn:
    """Raise the ValueError for a line that cannot be read."""
    raise ValueError(f"'{shown(file)}', line {line}: {why}")


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes: UTF-8, or UTF-16 or UTF-32, with or without a byte order mark."""
    marked = next((name for mark, name in BOMS.items() if head.startswith(mark)), None)
    if marked is None and len(head) > 1 and 0 in head[:2] and head[:2] != b"\0\0":
        return "utf-16-le" if head[1] == 0 else "utf-16-be"  # A first character of ASCII has one zero byte.
    return marked or "utf-8"


def first_line(file: Path) -> str:
    """The first line that is not blank; the rest of the file, which may be no list, is not read."""
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    return next((line for line in LINE.split(head.decode(encoding_of(head), "replace")) if line.strip()), "")


def lines_of(file: Path) -> list[str]:
    """All lines. Bytes that are not UTF-8 are kept as the names of files on disk have them.

    Raises:
        ValueError: the file is not text in its encoding.
    """
    content = file.read_bytes()
    encoding = encoding_of(content[:HEAD])
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    try:
        return LINE.split(content.decode(encoding, errors))
    except UnicodeDecodeError as error:
        raise ValueError(f"'{shown(file)}' is not text in {encoding} ({error.reason}); save it as UTF-8") from error


def split_fields(line: str, delimiter: str) -> list[str]:
    """The fields of one line, without spaces around them."""
    try:
        fields = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # A field is too long for a name, or the line ends within quotes.
        return [line]
    return [field.strip() for field in fields]


def table(file: Path, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each line with its fields by the names of the columns in lower case; missing fields are empty.

    Raises:
        ValueError: a line has more fields than there are columns, a quote is not closed, or a column occurs twice.
    """
    columns: Sequence[str] = ()
    for line, fields in _records(file, delimiter):
        if not columns:
            columns = _distinct(file, [name.lower() for name in fields])
            continue
        while len(fields) > len(columns) and not fields[-1]:
            fields.pop()
        if len(fields) > len(columns):
            names = ", ".join(columns)
            why = f"it has {len(fields)} fields, but there are {len(columns)} columns ({names}); put a field that "
            refuse_line(file, line, f"{why}contains {delimiter!r} into double quotes")
        yield line, dict.fromkeys(columns, "") | dict(zip(columns, fields, strict=False))


def _records(file: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each record that is not blank, with the number of the line that it begins on."""
    lines = (line + "\n" for line in lines_of(file))
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    begin = 1
    try:
        for record in reader:
            fields = [field.strip() for field in record if delimiter != " " or field]
            if any(fields):
                yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as error:
        refuse_line(file, begin, f"its quotes are not those of a CSV file ({error}); a quote is written twice")


def _distinct(file: Path, columns: list[str]) -> list[str]:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        refuse_line(file, 1, f"the columns {listed(in_quotes(twice))} are there twice; remove or rename one of each")
    return columns


def text_of(file: Path, line: int, label: str) -> str:
    """A label, whose bytes must be UTF-8; the name of a file may have any."""
    if not label.isascii() and any("\ud800" <= character <= "\udfff" for character in label):
        refuse_line(file, line, f"the label '{shown(label)}' is not UTF-8; save the list as UTF-8")
    return label
