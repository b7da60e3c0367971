"""Folders of short videos, with and without a list of labels."""

import pytest


@pytest.fixture
def videos(tmp_path, make_video):
    """`videos("cat/1.mp4", "dog/2.mkv", count=50)`: videos of 2 seconds below `tmp_path / "videos"`."""
    first = make_video(tmp_path / "first.mp4", 50)

    def make(*names, count=50):
        for name in names:
            file = tmp_path / "videos" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if count == 50:
                file.write_bytes(first.read_bytes())
            else:
                make_video(file, count)
        return tmp_path / "videos"

    return make


@pytest.fixture
def write_list():
    """`write_list(root, header, *rows)`: write a CSV list into `root`, and return `root`."""

    def write(root, header, *rows, name="list.csv"):
        (root / name).write_text("\n".join([header, *rows]) + "\n")
        return root

    return write
