"""Videos by the names that a list gives them; what is guessed is said."""

import pytest

pytest.importorskip("av")

from wholeframe.data.video.find_videos import VideoFinder


@pytest.fixture
def root(tmp_path):
    for name in ("a.mp4", "x/b.mp4", "y/c.mkv", "y/c.txt", "z/c.mp4", ".hidden/d.mp4", "x/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_names(root):
    find = VideoFinder(root)
    found = {
        name: find(name) for name in ("a.mp4", "a", "b", "b.mp4", "y/c.mkv", "x", "e", "d", "", "gone", "\0", "n" * 300)
    }
    assert {name: path.relative_to(root).as_posix() for name, path in found.items() if path} == {
        "a.mp4": "a.mp4",
        "a": "a.mp4",
        "b": "x/b.mp4",
        "b.mp4": "x/b.mp4",
        "y/c.mkv": "y/c.mkv",
    }
    assert find.note() == ""


def test_a_file_of_another_folder_or_suffix_is_said(root):
    find = VideoFinder(root)
    assert find("train/b.mp4") == root / "x/b.mp4" and find("a.avi") == root / "a.mp4"
    assert find.note() == "found by name alone: 'train/b.mp4' is 'x/b.mp4', 'a.avi' is 'a.mp4'"


def test_several_files(root):
    with pytest.raises(ValueError, match=r"'c' in the list may be any of '.*y/c\.mkv', '.*z/c\.mp4'; give its path"):
        VideoFinder(root)("c")
    with pytest.raises(ValueError, match=r"list.csv', line 7: 'c' in the list may be any of"):
        VideoFinder(root).of_line(root / "list.csv", 7, "c")


def test_content_decides_where_the_suffix_does_not(root, make_video):
    make_video(root / "film.mp4", 5).rename(root / "x" / "film.dat")
    assert VideoFinder(root)("film") == root / "x" / "film.dat"


def test_links_in_a_circle_end(root):
    (root / "x" / "up").symlink_to(root)
    assert VideoFinder(root)("b") == root / "x/b.mp4"
