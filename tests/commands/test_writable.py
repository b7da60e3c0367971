"""A file that cannot be written is found before the work, and one that can is left as it is."""

import pytest

from wholeframe.commands.writable import writable


def test_a_new_file_in_a_new_folder(tmp_path):
    assert writable(tmp_path / "deep" / "a.csv") == tmp_path / "deep" / "a.csv"
    assert (tmp_path / "deep").is_dir() and not (tmp_path / "deep" / "a.csv").exists()


def test_what_is_in_a_file_stays(tmp_path):
    (tmp_path / "a.csv").write_text("text")
    writable(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "text"


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/a.csv' cannot be written, because '.*file' is not a folder"):
        writable(tmp_path / "file" / "a.csv")
    with pytest.raises(OSError, match=r"' cannot be written \(Is a directory\)"):
        writable(tmp_path)
    with pytest.raises(OSError, match=r"x…x.*' cannot be written \(File name too long\)"):
        writable(tmp_path / ("x" * 300))
