"""The curve of a run is read from its table, whatever state the run is in."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from wholeframe.recipes import digits
from wholeframe.train.learning import curves_text, learning_curve
from wholeframe.train.run import Run

HEADER = "epoch,step,train/accuracy,train/epoch_loss,train/loss,val/accuracy,val/loss"
ROWS = ["0,1,,,0.9,,", "0,1,0.5,0.8,,0.6,0.7", "1,3,,,0.5,,", "1,3,0.7,0.4,,0.8,0.5"]
OLD_RUN = Path(__file__).parent / "old_run" / "run"


@pytest.fixture
def run(tmp_path):
    """`run(lines)`: a run folder with these lines in its table."""
    recipe = digits.small_nl()
    schedule = dataclasses.replace(recipe.schedule, epochs=3)

    def run(*lines):
        made = Run(tmp_path / "run")
        made.write(dataclasses.replace(recipe, schedule=schedule), ("a", "b"), None)
        made.metrics.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return made

    return run


def test_the_figures_of_every_epoch(run):
    curve, notes = learning_curve(run(HEADER, *ROWS), "x")
    assert (curve.train_score, curve.val_score) == ({1: 0.5, 2: 0.7}, {1: 0.6, 2: 0.8})
    assert (curve.train_loss, curve.val_loss) == ({1: 0.8, 2: 0.4}, {1: 0.7, 2: 0.5})
    assert (curve.name, curve.score, curve.done, curve.epochs, notes) == ("x", "accuracy", 2, 3, [])


def test_a_run_of_an_earlier_version_has_its_metrics_under_other_names(tmp_path):
    shutil.copytree(OLD_RUN, tmp_path / "run")
    curve, _ = learning_curve(Run(tmp_path / "run"), "old")
    assert curve.val_score == {1: 0.5, 2: 0.5} and curve.train_loss == {}


@pytest.mark.parametrize(
    "row", ["1,3,0.7,0.4", "1,3,0.7,0.4,,0.8,0.\0\x7f", "one,3,0.7,0.4,,0.8,0.5", "1,3,0.7,0.4,,0.8,0.5,9"]
)
def test_a_damaged_row_is_left_out_and_counted(run, row):
    curve, notes = learning_curve(run(HEADER, *ROWS[:3], row), "x")
    assert curve.val_score == {1: 0.6}
    assert len(notes) == 1 and "metrics.csv': 1 row cannot be read" in notes[0]


def test_a_value_that_is_not_finite_is_a_gap_and_named(run):
    curve, notes = learning_curve(run(HEADER, ROWS[1], "1,3,0.7,0.4,,0.8,nan"), "x")
    assert curve.val_loss == {1: 0.7} and curve.val_score == {1: 0.6, 2: 0.8}
    assert len(notes) == 1 and notes[0].endswith("val/loss is not finite after epoch 2, which is a gap")


def test_of_an_epoch_that_is_there_twice_the_later_row_counts(run):
    curve, notes = learning_curve(run(HEADER, ROWS[1], "0,1,0.5,0.8,,0.9,0.7"), "x")
    assert curve.val_score == {1: 0.9}
    assert any("val/accuracy is there twice for epoch 1" in note for note in notes)


@pytest.mark.parametrize("lines", [[HEADER], [HEADER, ROWS[0]], ["\udcff", "1"], ["a" * 200_000]])
def test_a_table_without_a_figure_is_refused(run, lines):
    made = run()
    made.metrics.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=r"metrics.csv' (has no figures of an epoch|is not the table)"):
        learning_curve(made, "x")


def test_a_run_without_its_table_and_another_folder_are_refused(run, tmp_path):
    made = run(HEADER, *ROWS)
    made.metrics.unlink()
    with pytest.raises(ValueError, match=r"has no metrics.csv"):
        learning_curve(made, "x")
    with pytest.raises(ValueError, match="is not a run folder"):
        learning_curve(Run(tmp_path / "other"), "x")


def test_the_numbers_as_a_table(run):
    curve, _ = learning_curve(run(HEADER, ROWS[1], "1,3,0.7,0.4,,0.8,nan"), "a,b")
    assert curves_text([curve]).splitlines() == [
        "run,epoch,figure,train,val,train_loss,val_loss",
        '"a,b",1,accuracy,0.5,0.6,0.8,0.7',
        '"a,b",2,accuracy,0.7,0.8,0.4,',
    ]
