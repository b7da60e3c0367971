"""`wholeframe search`: its rungs, its files, what it says at the end, and what it refuses."""

import contextlib
import csv
import io
import json

import pytest
from untrained import untrained

from wholeframe.commands import compare, search

COMMAND = [
    *["--steps", "6", "--tasks", "gist", "--blocks", "none", "nl", "gc", "se", "snl"],
    *["--seeds", "2", "--jobs", "1", "--budget", "60%", "--out"],
]


def rows_of(folder):
    with (folder / "search.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder, and what was printed."""
    folder = tmp_path_factory.mktemp("search") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as printed, untrained():  # capsys belongs to one test
        search.main([*COMMAND, str(folder)])
    return folder, printed.getvalue()


@pytest.mark.slow
def test_the_best_go_on(searched):
    folder, _ = searched
    found = {(row["rung"], row["candidate"], row["seed"]) for row in rows_of(folder)}
    assert found == {
        *(("1", block, "0") for block in ("none", "nl", "gc", "se", "snl")),
        *(("2", block, seed) for block in ("nl", "se") for seed in "01"),
    }
    parts = {row["rung"]: float(row["part"]) for row in rows_of(folder)}
    assert parts["1"] == pytest.approx(0.6), "half of 60 % of 5 x 2 trainings, for 5"
    assert parts["2"] == pytest.approx((36 - 5 * 3) / (4 * 6)), "the rest, for 4"


def test_the_winner_and_how_sure(searched):
    folder, printed = searched
    last = printed.splitlines()[-1]
    assert (
        last == "the winner is nl with 0.890, +0.090 [-0.037, +0.217] more than se (95% interval of 2 seeds), which "
        "contains 0, so that the search does not separate the two"
    )
    assert last.replace("[", "\\[").replace("]", "\\]") in (folder / "search.md").read_text()


def test_the_cost_is_counted(searched):
    _, printed = searched
    assert "spent 35 training steps, 58.3% of the 60 of all full trainings, and " in printed
    assert "the budget is 60%" in printed


def test_files(searched):
    folder, _ = searched
    assert {file.name for file in folder.iterdir()} == {
        *("rung-1", "rung-2", "run.lock", "recipe.json", "search.json", "search.csv", "search.md")
    }
    text = (folder / "search.md").read_text()
    assert f"Made by `wholeframe search {' '.join(COMMAND)} {folder}`" in text and "| candidate | rung |" in text
    record = json.loads((folder / "recipe.json").read_text())
    assert record["search"] == {"budget": "60%", "seed": 0, "factor": 3} and record["options"]["seeds"] == "2"


@pytest.mark.slow
def test_the_same_command_trains_nothing_again(searched, capsys):
    folder, printed = searched
    before = (folder / "rung-2" / "trainings.jsonl").read_bytes()
    with untrained() as seen:
        search.main([*COMMAND, str(folder)])
    assert not seen
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if "already" not in line] == printed.splitlines()
    assert (folder / "rung-2" / "trainings.jsonl").read_bytes() == before


@pytest.mark.slow
def test_other_commands_are_refused(searched, refused):
    folder, _ = searched
    told = refused("search", *COMMAND, folder, "--budget", "50%")
    assert '(search.budget was "60%" there and is "50%" here)' in told
    assert f"'{folder}' holds a search" in refused("compare", "--out", folder)


@pytest.mark.slow
def test_a_full_rung_is_a_comparison(tmp_path):
    """Rungs are whole trainings, so that the last one of a large budget has the figures of `compare`."""
    options = ["--steps", "3", "--tasks", "gist", "--blocks", "none", "gc", "--seeds", "1", "--jobs", "1", "--out"]
    search.main([*options, str(tmp_path / "search"), "--budget", "100%"])
    compare.main([*options, str(tmp_path / "compare")])
    with (tmp_path / "compare" / "results.csv").open(newline="") as stream:
        full = {row["block"]: float(row["accuracy"]) for row in csv.DictReader(stream)}
    assert {row["candidate"]: float(row["accuracy"]) for row in rows_of(tmp_path / "search")} == full


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--budget", "2"), "budget '2' has no unit that is known here; give a budget such as 2h"),
        (("--budget", "0h"), "a budget of 0h trains nothing"),
        (("--budget", "23steps"), "trainings of the first rung less than one step; give --budget 24steps at the least"),
        (("--blocks", "nl"), "a search needs two candidates or more, and 'nl' is one; add --blocks"),
        (("--blocks", "nll", "gc"), "there is no block 'nll'; the nearest are nl"),
        (("--sites", "stage9"), "stage9"),
        (("--tasks", "recal"), "there is no embedded task 'recal'; the nearest are recall"),
        (("--tasks",), "--tasks names no task"),
        (("--seeds", 0), "seeds must be at least 1, got 0"),
        (("--seed", -1), "seed must be at least 0, got -1"),
        (("--jobs", 0), "jobs must be at least 1, got 0"),
        (("--data", "nowhere"), "there is no folder 'nowhere'"),
        (("--max-trials", "9"), "max-trials"),
        (("--timeout", "60"), "`wholeframe search` has no option --timeout; give --budget 2h"),
    ],
)
def test_refusals(refused, tmp_path, arguments, sentence):
    assert sentence in refused("search", "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_a_task_that_is_named_twice_counts_once(tmp_path, call, capsys):
    given = ("--tasks", "gist", "gist", "--blocks", "nl", "se", "nl", "--seeds", 1, "--steps", 4, "--jobs", 1)
    with untrained() as seen:
        call("search", *given, "--out", tmp_path)
    assert seen == [("gist", "nl", 0, 1), ("gist", "se", 0, 1)]
    assert "the winner is nl with 0.900, +0.100 more than se; one seed has no interval" in capsys.readouterr().out


def test_full_trainings_leave_a_budget(tmp_path, call, capsys):
    given = ("--tasks", "gist", "--blocks", "nl", "se", "--seeds", 1, "--steps", 4, "--jobs", 1, "--budget", "100%")
    with untrained():
        call("search", *given, "--out", tmp_path)
    assert "every rung has full trainings, and the budget allows longer ones" in capsys.readouterr().out


def test_the_folder_of_a_comparison_is_refused(refused, tmp_path):
    (tmp_path / "results.csv").write_text("")
    assert "holds a comparison (results.csv); give another --out" in refused("search", "--out", tmp_path)


@pytest.mark.slow
def test_photographs(tmp_path, make_photos, call, capsys):
    photos = make_photos(tmp_path / "pets", count=25)
    command = ["--jobs", 1, "--data", photos, "--epochs", 2, "--blocks", "none", "gc", "--seeds", 1, "--budget", "50%"]
    call("search", *command, "--out", tmp_path / "out")
    assert {(row["task"], row["candidate"], row["part"]) for row in rows_of(tmp_path / "out")} == {
        ("pets", "none", "0.5"),
        ("pets", "gc", "0.5"),
    }
    assert "spent 2 training steps, 50.0% of the 4 of all full trainings" in capsys.readouterr().out
