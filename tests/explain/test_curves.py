"""Learning curves: the lines of each training, and their strokes."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from wholeframe.explain.curves import COLOURS, LearningCurve, draw_learning

FALLING = {1: 0.5, 2: 0.75, 3: 0.7}


def curve(name="run", score="accuracy", epochs=3, **lines):
    return LearningCurve(name, score, epochs, **(lines or {"train_score": FALLING, "val_score": FALLING}))


def pixels(file):
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def share_of(drawn, colour):
    """The number of pixels in nearly this colour."""
    return int((abs(drawn - np.array(to_rgb(colour)) * 255).sum(axis=2) < 12).sum())


def test_the_error_is_what_the_accuracy_lacks_in_percent():
    lines = curve(train_score={1: 0.9}, val_score={1: 0.75}).lines()
    assert lines["error", "val"] == {1: 25} and lines["error", "train"] == {1: pytest.approx(10)}


def test_another_score_than_accuracy_stays_as_it_is():
    assert curve(score="mAP", val_score={1: 0.3}).lines()["mAP", "val"] == {1: 0.3}


def test_the_last_and_the_first_best_epoch_in_words():
    assert curve(val_score={1: 0.5, 2: 0.75, 3: 0.75, 4: 0.7}, epochs=4).described() == (
        "4 epochs; validation error 30.00 % after epoch 4, at best 25.00 % after epoch 2"
    )


def test_an_unfinished_training_says_how_far_it_is():
    assert curve(epochs=12).described().startswith("3 of 12 epochs; ")


def test_every_training_has_its_colour_and_validation_the_bolder_line(tmp_path):
    counts = {}
    for split in ("train_score", "val_score"):
        draw_learning([curve(), curve("b", **{split: {1: 0.2, 2: 0.3, 3: 0.1}})], tmp_path / "a.png")
        drawn = pixels(tmp_path / "a.png")
        assert share_of(drawn, COLOURS[0]) > 500
        counts[split] = share_of(drawn, COLOURS[1])
    assert 0 < 1.5 * counts["train_score"] < counts["val_score"]


def test_an_epoch_without_a_value_is_a_gap(tmp_path):
    counts = []
    for middle in ({5: 0.5}, {}):
        values = {epoch: 0.5 for epoch in (1, 2, 3, 4, 6, 7, 8)} | middle
        draw_learning([curve(val_score=values)], tmp_path / "a.png")
        counts.append(share_of(pixels(tmp_path / "a.png"), COLOURS[0]))
    assert counts[1] < 0.9 * counts[0]


def test_a_panel_without_a_line_is_left_out(tmp_path):
    draw_learning([curve()], tmp_path / "error.png")
    draw_learning([curve(val_score=FALLING, val_loss=FALLING)], tmp_path / "both.png")
    assert pixels(tmp_path / "both.png").shape[1] > 1.5 * pixels(tmp_path / "error.png").shape[1]


def test_runs_that_share_a_colour_differ_in_their_marker(tmp_path):
    files = [tmp_path / "one.png", tmp_path / "eight.png"]
    for file, count in zip(files, (1, 8), strict=True):
        draw_learning([curve(str(index), val_score={1: index / 10}) for index in range(count)], file)
    assert share_of(pixels(files[1]), COLOURS[0]) > 1.5 * share_of(pixels(files[0]), COLOURS[0])


def test_scores_without_a_common_axis_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"the score of a is accuracy and that of b is mAP.*two pictures"):
        draw_learning([curve("a"), curve("b", score="mAP")], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_names_from_outside_and_the_same_bytes_twice(tmp_path):
    odd = "x$\\frac$ \udcff 猫 [bold]\n" + "long " * 40
    for name in ("a", "b"):
        draw_learning([curve(odd, val_score={1: 0.5})], tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
