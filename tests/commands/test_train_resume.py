"""`wholeframe train --resume RUN`: what it takes from the folder, and what it refuses."""

import json
import shutil

import pytest
import torch
from PIL import Image

from wholeframe.train.run import Run, read_checkpoint


@pytest.fixture
def stopped(run, tmp_path):
    """The run as it was before its first checkpoint."""
    folder = tmp_path / "stopped"
    folder.mkdir()
    for name in ("recipe.json", "environment.json", "samples.csv"):
        shutil.copy(run / name, folder / name)
    return folder


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the finished run, which a test may change."""
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def same(first, second):
    states = [Run(folder).network().state_dict() for folder in (first, second)]
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.slow
def test_the_folder_is_enough(call, capsys, run, stopped):
    call("train", "--resume", stopped, "--accelerator", "cpu")
    assert "val accuracy" in capsys.readouterr().out
    assert same(run, stopped)


def test_a_finished_run(call, capsys, copy):
    call("train", "--resume", copy)
    assert f"all 2 epochs are trained already; the run is '{copy}'" in capsys.readouterr().out


@pytest.mark.slow
def test_more_epochs(call, capsys, copy):
    call("train", "--resume", copy, "--epochs", 3, "--accelerator", "cpu")
    told = capsys.readouterr().out
    assert "epochs: 2 before, 3 now, 2 done; the learning rate follows OneCycle over 3 epochs from here on" in told
    assert Run(copy).epochs() == 3 and Run(copy).recipe().schedule.epochs == 3
    epochs = [line.split(",")[0] for line in Run(copy).metrics.read_text().splitlines()[1:]]
    assert sorted(set(epochs)) == ["0", "1", "2"]
    call("train", "--resume", copy)
    assert "all 3 epochs are trained already" in capsys.readouterr().out


def test_fewer_epochs_than_are_trained(refused, copy):
    assert "--epochs 1 is fewer than the 2 that are trained" in refused("train", "--resume", copy, "--epochs", 1)
    assert Run(copy).recipe().schedule.epochs == 2


@pytest.mark.slow
def test_the_workers_may_differ(call, run, stopped):
    call("train", "--resume", stopped, "--workers", 1, "--accelerator", "cpu")
    assert same(run, stopped)


def test_without_a_folder(refused, tmp_path):
    assert "--resume takes the folder of a run" in refused("train", "--resume")
    assert "is not a run folder: it has no recipe.json" in refused("train", "--resume", tmp_path)


# ------------------------------------------------------------------------------------------------------- the data


@pytest.fixture
def moved(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "moved")
    return tmp_path / "moved"


@pytest.mark.slow
def test_data_that_moved(call, refused, run, stopped, moved):
    record = json.loads((stopped / "environment.json").read_text())
    assert record["location"]["path"] == record["data"]
    call("train", "--resume", stopped, "--data", moved, "--accelerator", "cpu")
    assert same(run, stopped)
    assert "the data of the run is not at" in refused("train", "--resume", stopped, "--data", moved / "nowhere")


def test_data_that_changed(refused, stopped, moved):
    (moved / "cat" / "00.png").rename(moved / "cat" / "new.png")
    told = refused("train", "--resume", stopped, "--data", moved)
    assert f"'{moved}' has changed since the run in '{stopped}' was started: " in told
    assert "gone (" in told and "added (" in told
    assert "--start" in told and not (stopped / "last.ckpt").exists()


def test_a_label_that_changed(refused, stopped, moved):
    """A list may give a sample another label; in a folder of classes it is another name."""
    (moved / "cat" / "00.png").rename(moved / "dog" / "99.png")
    assert "gone" in refused("train", "--resume", stopped, "--data", moved)


# ------------------------------------------------------------------------------------------------- the checkpoints


@pytest.mark.parametrize("proof", ["progress.json", "metrics.csv"])
def test_a_deleted_checkpoint(refused, copy, proof):
    (copy / "last.ckpt").unlink()
    for name in {"progress.json", "metrics.csv"} - {proof}:
        (copy / name).unlink()
    told = refused("train", "--resume", copy)
    assert f"'{copy}/last.ckpt' is gone, so the run cannot go on from it: put it back" in told and "best.ckpt" in told


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_best_checkpoint_that_is_remembered(refused, copy, damage):
    best = copy / "best.ckpt"
    best.unlink() if damage == "gone" else best.write_bytes(best.read_bytes()[:-9])
    told = refused("train", "--resume", copy, "--epochs", 3)
    assert (
        "is gone, and" if damage == "gone" else "is not a checkpoint, or is damaged"
    ) in told and "best.ckpt" in told


def test_weights_of_another_network(refused, copy, run):
    content = read_checkpoint(copy / "last.ckpt")
    del content["state_dict"]["network.head.0.weight"]
    torch.save(content, copy / "last.ckpt")
    told = refused("train", "--resume", copy, "--epochs", 3)
    assert "has the weights of another network than the recipe of the run (network.head.0.weight)" in told


def test_a_checkpoint_of_another_program(refused, copy):
    torch.save({"state_dict": read_checkpoint(copy / "last.ckpt")["state_dict"], "epoch": 3}, copy / "last.ckpt")
    told = refused("train", "--resume", copy, "--epochs", 9)
    assert "holds weights, but a training cannot go on from them: global_step, callbacks" in told


@pytest.mark.parametrize("name", ["recipe.json", "environment.json", "samples.csv"])
def test_a_flipped_digit(refused, copy, name):
    text = (copy / name).read_text()
    at = text.rindex("0")
    (copy / name).write_text(f"{text[:at]}1{text[at + 1 :]}")
    told = refused("train", "--resume", copy)
    assert f"'{copy}/{name}' is damaged or was changed (" in told and "put a whole copy in its place" in told


def test_a_table_cut_within_a_line(call, copy):
    text = (copy / "metrics.csv").read_text()
    (copy / "metrics.csv").write_text(text[: len(text) - 9])
    call("train", "--resume", copy, "--epochs", 3, "--accelerator", "cpu")
    assert (copy / "metrics.csv").read_text().startswith(text)


# ------------------------------------------------------------------------------------------------- initial weights


@pytest.fixture
def started(call, run, photos, small, tmp_path, monkeypatch):
    """A run that starts from the weights of another, killed before its first checkpoint; and these weights."""
    source = tmp_path / "weights.ckpt"
    shutil.copy(run / "last.ckpt", source)

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    options = ("--data", photos, "--out", tmp_path / "r", *small, "--seed", 5, "--start", source)
    monkeypatch.setattr("wholeframe.commands.train.fit", killed)
    with pytest.raises(SystemExit):
        call("train", "small_nl", *options)
    monkeypatch.undo()
    return tmp_path / "r", source, options


@pytest.mark.slow
def test_initial_weights_are_loaded_once_more(call, capsys, started, tmp_path, monkeypatch):
    folder, source, options = started
    monkeypatch.setattr("sys.argv", ["wholeframe", "train", "--resume", str(folder), "--accelerator", "cpu"])
    from wholeframe import cli

    cli.main()
    assert f"from '{source}': " in capsys.readouterr().out
    monkeypatch.setattr(
        "sys.argv", ["wholeframe", "train", "small_nl", *map(str, options), "--out", str(tmp_path / "whole")]
    )
    cli.main()
    assert same(folder, tmp_path / "whole")


@pytest.mark.parametrize("change", ["gone", "other"])
def test_initial_weights_that_are_not_there_any_more(refused, started, run, change):
    folder, source, _ = started
    source.unlink() if change == "gone" else shutil.copy(run / "recipe.json", source)
    told = refused("train", "--resume", folder)
    assert (
        f"'{source}', from which its weights came (--start), {'is gone' if change == 'gone' else 'has changed'}" in told
    )
    assert not (folder / "last.ckpt").exists()


def test_other_initial_weights(refused, started, run, photos, small):
    folder, source, _ = started
    options = ("--data", photos, "--out", folder, *small, "--seed", 5, "--start", run)
    told = refused("train", "small_nl", *options, "--resume")
    assert f"was started from '{source}', not from '{run}'; leave --start out to resume it" in told


# ------------------------------------------------------------------------------------------- folders and processes


@pytest.mark.slow
def test_a_kill_before_the_recipe_is_written_is_in_nobodys_way(call, run, photos, small, stopped):
    (stopped / "recipe.json").unlink()
    call("train", "small_nl", "--data", photos, "--out", stopped, *small)
    assert same(run, stopped)


def test_checkpoints_without_a_recipe(refused, copy, photos, small):
    (copy / "recipe.json").unlink()
    told = refused("train", "small_nl", "--data", photos, "--out", copy, *small)
    assert "holds last.ckpt and best.ckpt of a run, and its recipe.json is gone" in told


def test_compare_does_not_write_over_a_training(refused, copy):
    before = (copy / "recipe.json").read_bytes()
    told = refused("compare", "--out", copy, "--blocks", "none", "--tasks", "gist", "--steps", 1)
    assert (
        f"'{copy}' holds a training (environment.json, samples.csv, last.ckpt, best.ckpt); give another --out" in told
    )
    assert (copy / "recipe.json").read_bytes() == before


def test_train_does_not_write_over_a_comparison(refused, photos, small, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "recipe.json").write_text('{"blocks": {}, "recipes": {}}')
    told = refused("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small)
    assert told == f"wholeframe: '{tmp_path}/r' holds a comparison; give another --out"


def test_a_photograph_that_is_a_recipe_is_not_touched(refused, photos, small, tmp_path):
    (tmp_path / "r").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "r" / "recipe.json", format="PNG")
    told = refused("train", "small_nl", "--data", photos, "--out", tmp_path / "r", *small)
    assert "holds a recipe.json that this program did not write, or that is damaged" in told
