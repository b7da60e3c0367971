"""The figures of a classification, each against one computed by hand; and how names from outside are written."""

import csv
import json

import pytest
import torch

from wholeframe.train.tasks.class_scores import ClassScores, columns_of, named

#                     right  as 1   right  right  as 0   not read
LABELS = torch.tensor([0, 0, 1, 1, 1, -1])
PREDICTED = torch.tensor([0, 1, 1, 1, 0, 2])
ONE = ClassScores(0.7 * torch.eye(3)[PREDICTED] + 0.1, LABELS)
MANY = ClassScores(
    torch.tensor([[0.9, 0.6, 0.1], [0.2, 0.8, 0.3], [0.7, 0.1, 0.2], [0.9, 0.9, 0.9]]),
    torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 0, 0], [-1, -1, -1]]),
)


def rows_of(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_one_label_by_hand():
    assert ONE.confusion().tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert ONE.precision()[:2].tolist() == pytest.approx([1 / 2, 2 / 3]) and ONE.precision()[2].isnan()
    assert ONE.recall()[:2].tolist() == pytest.approx([1 / 2, 2 / 3]) and ONE.recall()[2].isnan()
    assert ONE.f1()[:2].tolist() == pytest.approx([1 / 2, 2 / 3]) and ONE.f1()[2].isnan()
    assert ONE.confused()[:2].tolist() == [pytest.approx([1 / 2, 1 / 2, 0]), pytest.approx([1 / 3, 2 / 3, 0])]
    assert ONE.confused()[2].isnan().all() and ONE.cells().equal(ONE.confusion())
    assert ONE.balanced_accuracy() == pytest.approx((1 / 2 + 2 / 3) / 2) and ONE.top(1) == pytest.approx(3 / 5)
    assert ONE.calibration_error() == pytest.approx(0.8 - 3 / 5), "all samples are in one bin, at 0.8"


def test_many_labels_by_hand():
    # Class 0: two of three found. Class 1: one of one found, and one false alarm. Class 2 has no sample.
    assert MANY.confusion().tolist() == [[[0, 0], [1, 2]], [[1, 1], [0, 1]], [[3, 0], [0, 0]]]
    assert MANY.precision()[:2].tolist() == pytest.approx([1, 1 / 2]) and MANY.precision()[2].isnan()
    assert MANY.recall()[:2].tolist() == pytest.approx([2 / 3, 1])
    assert MANY.confused()[0].tolist() == pytest.approx([2 / 3, 2 / 3, 0]), "of the three samples of class 0"
    assert MANY.cells().tolist() == [[67, 67, 0], [100, 100, 0], [0, 0, 0]]
    assert MANY.macro_f1() == pytest.approx((0.8 + 2 / 3) / 2)


def test_the_calibration_error_is_its_definition():
    draw = torch.Generator().manual_seed(0)
    p, labels = torch.rand(200, 4, generator=draw).softmax(dim=1), torch.randint(4, (200,), generator=draw)
    confidence, chosen = p.max(dim=1)
    bins = (confidence * 15).ceil() - 1
    expected = 0.0
    for number in range(15):
        within = bins == number
        if within.any():
            gap = (chosen == labels)[within].double().mean() - confidence[within].double().mean()
            expected += float(within.double().mean() * gap.abs())
    assert ClassScores(p, labels).calibration_error() == pytest.approx(expected, abs=1e-6)


def test_a_mean_of_probabilities_above_one_by_a_rounding_stays_a_probability():
    sure = torch.tensor([[1 + 1e-6, 0.0], [0.0, 1 + 1e-6]])
    assert ClassScores(sure, torch.tensor([0, 1])).calibration_error() == pytest.approx(0, abs=1e-5)


def test_figures_have_a_value_or_none():
    figures = ONE.figures()
    assert figures["samples"] == 5 and figures["not_read"] == 1 and figures["classes_without_a_sample"] == 1
    assert figures["top1"] == pytest.approx(0.6) and "top5" not in figures and "mAP" not in figures
    nothing = ClassScores(torch.full((2, 2), 0.1), torch.zeros(2, 2)).figures()
    assert nothing["mAP"] is None and json.loads(json.dumps(nothing, allow_nan=False)) == nothing


def test_unequal_classes_are_named():
    labels = torch.tensor([0] * 8 + [1])
    scores = ClassScores(torch.eye(2)[torch.zeros(9, dtype=torch.long)], labels)
    assert scores.summary(["cat", "a\nb"]) == (
        "top-1 0.8889, balanced accuracy 0.5000 (the classes are unequal: 8 to 1 samples each, the fewest of 'a\\nb')"
    ).replace("8 to 1", "1 to 8")
    assert "the fewest of class 1)" in scores.summary()
    equal = ClassScores(torch.eye(2), torch.tensor([0, 1]))
    assert equal.summary() == "top-1 1.0000"


def test_a_row_per_class(tmp_path):
    ONE.write_classes(tmp_path / "c.csv", ["cat", "dog", "cow"])
    assert rows_of(tmp_path / "c.csv") == [
        ["class", "samples", "precision", "recall", "F1"],
        ["cat", "2", "0.5000", "0.5000", "0.5000"],
        ["dog", "3", "0.6667", "0.6667", "0.6667"],
        ["cow", "0", "", "", ""],
    ]
    MANY.write_classes(tmp_path / "m.csv", ["cat", "dog", "cow"])
    assert rows_of(tmp_path / "m.csv")[0][2] == "average precision"
    assert ONE.table(["cat", "dog", "cow"])[1][2] == ("cow", "0", "never predicted", "no sample", "no sample")


def test_confusion_as_a_table(tmp_path):
    ONE.write_confusion(tmp_path / "c.csv", ["label", "dog", "cow"])
    assert rows_of(tmp_path / "c.csv")[:2] == [["label", "label (class 0)", "dog", "cow"], ["label", "1", "1", "0"]]
    MANY.write_confusion(tmp_path / "m.csv", ["cat", "dog", "cow"])
    assert rows_of(tmp_path / "m.csv")[:2] == [
        ["class", "true positive", "false positive", "false negative", "true negative"],
        ["cat", "2", "0", "1", "0"],
    ]


def test_a_column_per_class_has_a_name_of_its_own():
    assert columns_of(["cat", "file", "crane", "crane"], ("file", "label")) == [
        "cat",
        "file (class 1)",
        "crane (class 2)",
        "crane (class 3)",
    ]


def test_names_of_several_classes_can_be_told_apart():
    assert named(torch.tensor([1, 1, 0]), ["a;b", "c", "d"]) == "a\\;b;c"


def test_names_from_outside_come_back_from_the_table(tmp_path):
    odd = ['"quoted"', "a,b\nc", "[bold]<b>|", "\udcff"]
    scores = ClassScores(torch.eye(4), torch.arange(4))
    scores.write_samples(tmp_path / "s.csv", [(name,) for name in odd], ("file",), odd)
    rows = rows_of(tmp_path / "s.csv")
    read = [*odd[:3], "\\udcff"]
    assert [row[0] for row in rows[1:]] == read and [row[1] for row in rows[1:]] == read and rows[0][3:] == read
