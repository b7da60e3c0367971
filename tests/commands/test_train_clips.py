"""Videos, from one end to the other: train, evaluate in views, predict; and what is refused on the way."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

pytest.importorskip("av")

from wholeframe.commands import train
from wholeframe.train.run import Run

SMALL = ("--frames", "8", "--stride", "2", "--size", "32", "--batch", "2", "--workers", "0", "--epochs", "1")
SMALL += ("--tolerate", "0.2")  # A fifth of the lines name a video that is missing.


@pytest.fixture(scope="module")
def actions(tmp_path_factory, make_video):
    """Two videos, a list of what happens in them, and a file that is no video. Tests do not write into it."""
    root = tmp_path_factory.mktemp("data") / "actions"
    make_video(root / "a.mkv", 60)
    make_video(root / "b.mkv", 80)
    lines = ["a,0,30,walk,train", "a,20,60,sit,train", "b,0,30,walk,test", "b,25,80,sit,test", "c,0,9,sit,test"]
    (root / "list.csv").write_text("\n".join(["video,start_frame,end_frame,label,split", *lines]))
    return root


@pytest.fixture(scope="module")
def clip_run(tmp_path_factory, actions):
    """A short training on clips of one label. Tests do not write into it, but for scores."""
    folder = tmp_path_factory.mktemp("runs") / "clips"
    train.main(["clips", "--data", str(actions), "--out", str(folder), *SMALL])
    return folder


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_evaluate_in_views(call, capsys, clip_run, actions):
    call("evaluate", clip_run, "--data", actions, "--views", "2x3")
    told = capsys.readouterr().out
    assert "1 video not there: 'c'" in told and "on 2 val clips, 2x3 views each, weights last" in told
    rows = rows_of(clip_run / "evaluations" / "last-val-2x3" / "scores.csv")
    assert [(row["file"], row["start"], row["end"], row["label"]) for row in rows] == [
        ("b.mkv", "0.000", "1.200", "walk"),
        ("b.mkv", "1.000", "3.200", "sit"),
    ]
    for row in rows:
        assert float(row["walk"]) + float(row["sit"]) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(("walk", "sit"), key=lambda name: float(row[name]))
    right = sum(row["prediction"] == row["label"] for row in rows) / 2
    assert f"top-1 {right:.4f} on" in told


@pytest.mark.slow
def test_evaluate_what_was_trained_on_with_statistics_of_its_own(call, capsys, clip_run, actions):
    call("evaluate", clip_run, "--data", actions, "--views", "1x1", "--split", "train", "--precise-bn", 3)
    told = capsys.readouterr().out
    assert "statistics of the batch norms from 1 training batches" in told and "on 2 train clips, 1x1 views" in told


@pytest.mark.slow
def test_a_video_that_is_lost_later_counts_nowhere(call, capsys, clip_run, actions, tmp_path, monkeypatch):
    shutil.copytree(actions, tmp_path / "actions")
    from wholeframe.train.inputs import videos

    def then_lose(*arguments, **options):
        folder = videos_open(*arguments, **options)
        (tmp_path / "actions" / "b.mkv").write_bytes(b"lost")
        return folder

    videos_open = videos.open_clips
    monkeypatch.setattr(videos, "open_clips", then_lose)
    with pytest.raises(SystemExit):
        call("evaluate", clip_run, "--data", tmp_path / "actions", "--views", "1x1")
    assert "none of the 2 samples could be read" in capsys.readouterr().err


@pytest.mark.slow
def test_many_labels(call, capsys, actions, tmp_path):
    options = ("--window", 0.75, "--labels", "many", *SMALL)
    call("train", "clips", "--data", actions, "--out", tmp_path / "r", *options)
    told = capsys.readouterr().out
    assert "multi-label clips of 2 classes" in told and "val mAP " in told
    assert Run(tmp_path / "r").recipe().data.window == 0.75
    call("evaluate", tmp_path / "r", "--data", actions, "--views", "1x1")
    assert "mAP " in capsys.readouterr().out
    labels = [row["label"] for row in rows_of(tmp_path / "r" / "evaluations" / "last-val-1x1" / "scores.csv")]
    assert labels == ["walk", "sit;walk", "sit", "sit"]
    call("train", "clips", "--data", actions, "--out", tmp_path / "r", *options, "--resume")
    assert "all 1 epochs are trained already" in capsys.readouterr().out


@pytest.mark.slow
def test_begin_from_another_run(call, capsys, clip_run, actions, tmp_path):
    call("train", "clips", "--data", actions, "--out", tmp_path / "r", *SMALL, "--start", clip_run, "--lr", 1e-30)
    assert f"from '{clip_run}': 0 kernels repeated over time" in capsys.readouterr().out
    assert json.loads(Run(tmp_path / "r").environment_file.read_text())["start"] == str(clip_run)
    before, after = (Run(folder).network().fc.weight for folder in (clip_run, tmp_path / "r"))
    assert before.equal(after)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_predict(call, capsys, clip_run, actions, tmp_path, suffix):
    file = tmp_path / "deep" / f"f{suffix}"
    call("predict", clip_run, actions / "a.mkv", actions / "b.mkv", "--views", "2x1", "--features", file)
    told = capsys.readouterr().out
    assert told.count("walk") == told.count("sit") == 2 and "features of 2 files" in told
    rows = np.load(file) if suffix == ".npy" else load_file(file)["features"].numpy()
    assert rows.shape == (2, 512) and rows.dtype == np.float32 and not np.array_equal(rows[0], rows[1])


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--window", 0.75), "may have any number of labels, and the recipe allows one per clip; give --labels many"),
        (
            ("--labels", "many"),
            "has one label, and the recipe is for labels='many'; give --labels one; or, where a list gives the times",
        ),
        (
            ("--backbone", "resnet18"),
            "the recipe is for clips of 3 x 8 x 32 x 32, and 'resnet18' does not run on them",
        ),
        (("--frames", 4), "the recipe is for clips of 3 x 4 x 32 x 32, and 'c2d_r18_nl1' does not run on them"),
        (("--batch", 3), "has 2 training clips, fewer than one batch of 3; give --batch 2 or less"),
        (("--epochs", 0), "epochs must be at least 1, got 0"),
        (("--window", 0), "window must be a positive number of seconds, got 0"),
        (("--size", 0), "size must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_trained(refused, actions, tmp_path, arguments, sentence):
    assert sentence in refused("train", "clips", "--data", actions, "--out", tmp_path / "r", *SMALL, *arguments)
    assert not (tmp_path / "r").exists()


def test_without_the_extra(refused, clip_run, actions, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("train.inputs.videos", "data.video.dataset", "data.video.clip_folder", "data.video.file"):
        monkeypatch.delitem(sys.modules, f"wholeframe.{name}", raising=False)
    monkeypatch.delattr("wholeframe.train.inputs.videos")
    told = refused("train", "clips", "--data", actions, "--out", tmp_path / "r", *SMALL)
    assert "videos are decoded by PyAV, which is not installed" in told


@pytest.mark.parametrize("views", ["10", "0x3", "10x2", "x", "tenx3"])
def test_views_that_are_none(refused, clip_run, actions, views):
    told = refused("evaluate", clip_run, "--data", actions, "--views", views)
    assert f"--views '{views}' is not CLIPSxCROPS: 10x3 takes ten clips" in told


@pytest.mark.slow
def test_files_that_are_no_videos(refused, clip_run, tmp_path):
    (tmp_path / "text.mkv").write_text("no video")
    for name in ("text.mkv", "none.mkv"):
        told = refused("predict", clip_run, tmp_path / name)
        assert told.startswith("wholeframe: ") and name in told
