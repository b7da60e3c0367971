"""`wholeframe compare`: the files it leaves, and the table it ends with."""

import contextlib
import csv
import io
import json
from functools import partial

import pytest
from PIL import Image

from wholeframe.commands import compare
from wholeframe.recipes import compared as recipes

COLUMNS = ["task", "block", "seed", "params", "macs", "accuracy", "train_s", "infer_ms"]
STATISTICS = ["cos_input", "cos_output", "cos_attention", "divergence"]
MORE = ["network_params", *STATISTICS, "on_answer", "steps", "difference"]


def rows_of(folder):
    with (folder / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def is_picture(file):
    with Image.open(file) as image:
        return image.format == "PNG" and len(image.convert("RGB").getcolors(1 << 24)) > 20


COMMAND = ["--steps", "4", "--tasks", "gist", "--blocks", "none", "nl", "gc", "--seeds", "2", "--jobs", "1", "--out"]
real = compare.environment


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder, and what was printed."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as printed:  # capsys belongs to one test
        compare.main([*COMMAND, str(folder)])
    return folder, printed.getvalue()


def test_results(compared):
    folder, _ = compared
    rows = rows_of(folder)
    assert list(rows[0]) == [*COLUMNS, *MORE]
    assert [(row["block"], row["seed"]) for row in rows] == [
        (block, seed) for seed in "01" for block in ("none", "nl", "gc")
    ]
    assert {row["task"] for row in rows} == {"gist"}
    for row in rows:
        assert (int(row["params"]) == 0) == (row["block"] == "none")
        assert 0 <= float(row["accuracy"]) <= 1 and float(row["train_s"]) > 0 and float(row["infer_ms"]) > 0
    assert len({row["macs"] for row in rows}) == 3
    assert all((row["cos_output"] != "") == (row["block"] == "nl") for row in rows)
    bare = {row["seed"]: float(row["accuracy"]) for row in rows if row["block"] == "none"}
    for row in rows:
        apart = float(row["accuracy"]) - bare[row["seed"]]
        assert (row["difference"] == "") if row["block"] == "none" else (float(row["difference"]) == apart)


def test_paired_trainings_have_the_same_batches(compared):
    folder, _ = compared
    lines = [json.loads(line) for line in (folder / "trainings.jsonl").read_text().splitlines()]
    assert len({line["batches"] for line in lines}) == len({(line["seed"], line["batches"]) for line in lines}) == 2


def test_the_same_command_trains_nothing_again(compared, capsys, monkeypatch):
    folder, printed = compared
    before = (folder / "trainings.jsonl").read_text()
    (folder / "results.csv").unlink()
    monkeypatch.setattr(compare, "train_one", None)  # A training would call it.
    compare.main([*COMMAND, str(folder)])
    again = capsys.readouterr().out
    assert again.startswith("6 of 6 trainings are in") and again.endswith(printed)
    assert (folder / "trainings.jsonl").read_text() == before and len(rows_of(folder)) == 6


@pytest.mark.slow
def test_another_comparison_is_refused(compared, refused):
    folder, _ = compared
    given = [*COMMAND, str(folder)]
    told = refused("compare", *given, "--steps", 5)
    assert f"'{folder}' holds another comparison" in told and 'options.steps was "4" there and is "5" here' in told
    assert "give another --out" in told and (folder / "trainings.jsonl").exists()
    assert "holds another comparison (options.seeds was" in refused("compare", *given, "--seeds", 3)


def test_other_versions_are_refused(compared, refused, monkeypatch):
    folder, _ = compared
    monkeypatch.setattr(compare, "environment", lambda: {**real(), "torch": "1.0"})
    assert 'is "1.0" here); give another --out' in refused("compare", *COMMAND, folder)


def test_files(compared):
    folder, _ = compared
    assert {file.name for file in folder.iterdir()} == {
        "results.csv",
        "results.md",
        "report.html",
        "recipe.json",
        "run.lock",
        "trainings.jsonl",
        "accuracy.png",
        "attention-gist-nl.png",
        "attention-gist-gc.png",
    }
    assert all(is_picture(file) for file in folder.glob("*.png"))


def test_the_page(compared):
    folder, _ = compared
    page = (folder / "report.html").read_text()
    assert "6 of 6 trainings are done." in page and page.count("data:image/jpeg") == 2
    assert page.count('class="line"') == 6, "three curves, and their key"
    assert f"--out {folder}</code>" in page and str(folder) not in page.replace(f"--out {folder}</code>", "")
    lines = [json.loads(line) for line in (folder / "trainings.jsonl").read_text().splitlines()]
    assert all(line["steps"] == len(line["losses"]) == 4 and line["scores"] == [line["accuracy"]] for line in lines)


def test_the_share_of_answers_is_told_for_recall(compared):
    folder, printed = compared
    assert all(row["on_answer"] == "" for row in rows_of(folder)) and "On recall" not in printed


def test_the_record_tells_how_it_was_made(compared):
    folder, _ = compared
    record = json.loads((folder / "recipe.json").read_text())
    assert record["options"]["steps"] == "4" and record["blocks"]["gc"] == {"ratio": 0.25}
    assert record["recipes"]["gist"]["model"]["backbone"] == "small_dense" and "torch" in record["environment"]
    assert (
        f"`wholeframe compare --steps 4 --tasks gist --blocks none nl gc --seeds 2 --jobs 1 --out {folder}`"
        in (folder / "results.md").read_text()
    )


def test_the_table_comes_last(compared):
    _, printed = compared
    lines = printed.strip().splitlines()
    assert lines[-1].startswith("└") and lines[-1].endswith("┘")
    table = lines[-7:]
    assert [line.split("│")[2].strip() for line in table[3:-1]] == ["none", "nl", "gc"]
    assert all("±" in line for line in table[3:-1])


@pytest.mark.slow
def test_shapes(tmp_path, call, capsys, monkeypatch):
    """The detector of the embedded detection task, without and with a block, from data to tables and pictures."""
    monkeypatch.setattr(recipes, "shapes_splits", partial(recipes.shapes_splits, test=4))
    call("compare", "--jobs", 1, "--task", "shapes", "--steps", 1, "--blocks", "none", "nl", "--out", tmp_path)
    bare, block = rows_of(tmp_path)
    assert list(bare) == [*COLUMNS, *MORE[:-1], "own_form", "difference"] and (bare["task"], block["block"]) == (
        "shapes",
        "nl",
    )
    assert all(0 <= float(row[name]) <= 1 for row in (bare, block) for name in ("accuracy", "own_form"))
    assert int(block["params"]) > 0 == int(bare["params"]) and int(block["macs"]) > int(bare["macs"])
    assert is_picture(tmp_path / "attention-shapes-nl.png") and is_picture(tmp_path / "accuracy.png")
    text = (tmp_path / "results.md").read_text()
    assert "| score | own form |" in text and "AP50 of the boxes of the discs" in text
    assert "own form" in capsys.readouterr().out
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert record["blocks_of_shapes"]["nl"] == {"init": "random"}
    assert record["recipes"]["shapes"]["model"]["backbone"] == "small_detector"


@pytest.mark.slow
def test_blocks_that_do_not_attend_have_no_picture(tmp_path, capsys):
    compare.main(
        ["--jobs", "1", "--steps", "1", "--tasks", "recall", "--blocks", "se", "snl", "se", "--out", str(tmp_path)]
    )
    assert [row["block"] for row in rows_of(tmp_path)] == ["se", "snl"], "what is named twice is trained once"
    assert [file.name for file in tmp_path.glob("attention*")] == ["attention-recall-snl.png"]
    assert "file is gone: recall: se.</p>" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_photographs(tmp_path, make_photos, call, capsys):
    photos = make_photos(tmp_path / "pets", count=25)
    call("compare", "--jobs", 1, "--data", photos, "--epochs", 1, "--blocks", "none", "nl", "--out", tmp_path / "out")
    assert [(row["task"], row["block"]) for row in rows_of(tmp_path / "out")] == [("pets", "none"), ("pets", "nl")]
    assert is_picture(tmp_path / "out" / "attention-pets-nl.png")
    assert "40 train and 10 val images of 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--blocks", "nll"), "wholeframe: there is no block 'nll'; the nearest are nl"),
        (("--tasks", "recal"), "wholeframe: there is no embedded task 'recal'; the nearest are recall"),
        (("--sites", "stage4"), "stage4"),
        (("--tasks",), "--tasks names no task; there are recall, gist, shapes"),
        (("--sites", "stage2,stage9", "--blocks", "nl"), "stage9"),
        (("--tasks", "recall_clips", "--sites", "layer3.7"), "layer3.7"),
        (("--jobs", 0), "jobs must be at least 1, got 0"),
        (("--table", "nonlocal-2z"), "there is no table 'nonlocal-2z'; the nearest are nonlocal-2"),
        (("--table", "nonlocal-2a", "--blocks", "nl"), "--table has the networks of its paper, so --blocks does not"),
        (("--table", "nonlocal-2a", "--tasks", "gist"), "--table has a task of its own, so --tasks does not apply"),
        (("--seeds", 0), "seeds must be at least 1, got 0"),
        (("--steps", 0), "steps must be at least 1, got 0"),
        (("--epochs", -1), "epochs must be at least 1, got -1"),
        (("--data", "nowhere"), "wholeframe: there is no folder 'nowhere'"),
        (("--data", __file__), "is a file, not a folder of class folders"),
    ],
)
def test_refusals(refused, tmp_path, arguments, sentence):
    assert sentence in refused("compare", "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_out_that_is_a_file(refused, photo):
    told = refused("compare", "--steps", 1, "--out", photo)
    assert told == f"wholeframe: '{photo}' is a file, and the results are written to a folder; give another --out"


@pytest.mark.parametrize("name", ["x$\\frac$[bold]|a\nb\udcff[", "l" * 250], ids=["markup", "long"])
@pytest.mark.slow
def test_folders_with_odd_names(call, capsys, tmp_path, make_photos, name):
    photos = make_photos(tmp_path / "data" / name, count=20, side=8)
    out = tmp_path / f"out-{name[:40]}"
    call("compare", "--jobs", 1, "--data", photos, "--epochs", 1, "--blocks", "none", "nl", "--out", out)
    assert is_picture(out / "accuracy.png") and len(list(out.glob("attention-*.png"))) == 1
    lines = (out / "results.md").read_text().splitlines()
    assert len(lines) == 7 and all(line.replace("\\|", "").count("|") == 10 for line in lines[3:])
    assert len(rows_of(out)) == 2 and "\x1b" not in capsys.readouterr().out


def test_too_few_photographs(refused, tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=4)
    assert "has 6 training images, fewer than one batch of 32" in refused("compare", "--data", photos)
