"""`wholeframe bench data` reads the same clips in three ways and compares their times."""

import sys

import pytest
import torch

pytest.importorskip("av")

from wholeframe.bench import clip_loading
from wholeframe.cli import main
from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.sampling import Sampling


@pytest.fixture
def folder(tmp_path, make_video):
    for name in ("cat/1.mp4", "cat/2.mp4", "dog/3.mp4", "dog/4.mp4"):
        make_video(tmp_path / name, 60)
    return tmp_path


def test_bench_data(folder, monkeypatch, capsys):
    options = ["--frames", "4", "--stride", "2", "--size", "16", "--clips", "4", "--rounds", "1", "--workers", "0"]
    monkeypatch.setattr(sys, "argv", ["wholeframe", "bench", "data", str(folder), *options])
    main()
    out = capsys.readouterr().out
    assert out.startswith("2 train and 2 val clips of 2 classes")
    assert all(way in out for way in ("loader, float32", "loader ", "decoding only", "PyAV alone"))
    assert "4 clips of 4 x 2 frames at 16" in out
    assert "(goal: 0.8)" in out


def test_every_way_reads_the_same_clips(folder, monkeypatch):
    clips = open_clips(folder)
    drawn = {"ours": [], "alone": []}
    random = Sampling.random

    def noting(way):
        def draw(self, total):
            drawn[way].append(random(self, total))
            return drawn[way][-1]

        return draw

    for way, read in (
        (
            "ours",
            clip_loading.ClipDataset(clips, clips.train, Sampling(4, 2), clip_loading.random_crop(16)).__getitem__,
        ),
        ("alone", lambda index: clip_loading.by_pyav_alone(clips, Sampling(4, 2), index)),
    ):
        monkeypatch.setattr(Sampling, "random", noting(way))
        replay = clip_loading.Replay(read, len(clips.train), 6)
        for index in range(len(replay)):
            replay[index]
    assert drawn["ours"] == drawn["alone"]
    assert len({tuple(frames) for frames in drawn["ours"]}) > 3
    assert torch.initial_seed() == 5
