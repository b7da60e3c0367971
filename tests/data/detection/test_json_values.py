"""JSON in any encoding, keys that are there twice, and what counts as a number."""

import json

import pytest

from wholeframe.data.detection.json_values import finite, json_of, whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(tmp_path, encoding):
    file = tmp_path / "a.json"
    file.write_bytes(json.dumps({"name": "Käse"}, ensure_ascii=False).encode(encoding))
    assert json_of(file) == {"name": "Käse"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "delimiter"),
        (b'{"a": "\xff"}', "decode"),
        (b'{"images": [1], "images": []}', "the key 'images' is twice in one object"),
        (b"[" * 100_000, "recursion"),
        (b"1" * 5000, "digits"),
        (b"\x00\x00\x00", ""),
    ],
)
def test_files_that_are_refused(tmp_path, content, reason):
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.json' is not a JSON file that can be read .*{reason}"):
        json_of(file)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        json_of(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\)"):
        json_of(tmp_path)


def test_numbers():
    assert [whole(value) for value in (3, 3.0, -1)] == [3, 3, -1]
    others = (True, None, "3", 3.5, float("nan"), float("inf"), 10**400, [3], {})
    assert [whole(value) for value in others] == [None] * len(others)
    assert finite([1, 2.5]) == [1.0, 2.5] and finite([1, 2.5], 2) == [1.0, 2.5]
    for values in ([1], "ab", [1, True], [1, None], [1, float("nan")], [1, 10**400], [1, 1e7], {"a": 1, "b": 2}, None):
        assert finite(values, 2) is None
