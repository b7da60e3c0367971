"""The Python of docs/video-data.md runs on a folder of clips and prints what the page says."""

import re
from pathlib import Path

import pytest

pytest.importorskip("av")

PAGE = (Path(__file__).parents[3] / "docs" / "video-data.md").read_text()


def fence(language):
    (only,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return only


def test_the_page_runs(tmp_path, make_video, monkeypatch, capsys):
    for name in ("sit/1.mp4", "sit/2.mp4", "sit/3.mp4", "walk/4.mp4", "walk/5.mp4", "walk/6.mp4"):
        make_video(tmp_path / "actions" / name, 30)
    monkeypatch.chdir(tmp_path)
    exec(fence("python"), {})
    assert capsys.readouterr().out == fence("text")
