"""The file that a name in a file of annotations means: never one outside the folder."""

import pytest

from wholeframe.data.detection.image_files import located


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "train/a.jpg", "train/city/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path / "train"


@pytest.mark.parametrize(
    ("name", "file", "by_end"),
    [
        ("a.jpg", "a.jpg", False),
        ("city/b.jpg", "city/b.jpg", False),
        ("train/a.jpg", "a.jpg", False),
        ("city\\b.jpg", "city/b.jpg", True),
        ("C:\\photos\\city\\b.jpg", "city/b.jpg", True),
        ("/home/me/a.jpg", "a.jpg", True),
        ("../a.jpg", "a.jpg", True),
        ("x/../../city/b.jpg", "city/b.jpg", True),
        ("https://example.org/a.jpg", "a.jpg", True),
    ],
)
def test_names(folder, name, file, by_end):
    assert located(folder, name) == (folder / file, by_end)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "b.jpg", "city", "../../etc/passwd", "a\0.jpg", "x" * 5000, "\ud800"]
)
def test_names_of_nothing(folder, name):
    assert located(folder, name) == (None, False)


def test_a_path_from_the_root_of_the_disk_is_not_followed(folder):
    assert located(folder / "city", str(folder / "a.jpg")) == (None, False)
