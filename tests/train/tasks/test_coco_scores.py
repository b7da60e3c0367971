"""COCO's figures: those of pycocotools, by hand, of the truth; curves, tables; everything left out is named."""

import contextlib
import csv
import io
import sys
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
import torch

from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.train.tasks.coco_evaluation import COCO_SIGMAS, ground_truth
from wholeframe.train.tasks.coco_results import CocoResults
from wholeframe.train.tasks.coco_scores import score_detections, score_results

pytest.importorskip("faster_coco_eval")

KINDS = ("bbox", "segm", "keypoints")


def by_pycocotools(scores, kind):
    """The figures and the precision of pycocotools on the same annotations and results."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    annotations = scores.annotations
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {**ground_truth(annotations, kind), "info": {}}
        truth.createIndex()
        evaluator = evaluation.COCOeval(truth, truth.loadRes(scores.results.entries(kind)), kind)
        if kind == "keypoints":
            evaluator.params.kpt_oks_sigmas = np.array([COCO_SIGMAS[name] for name in annotations.keypoints])
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_are_those_of_pycocotools(annotations, detections, kind):
    scores = score_detections(detections, annotations)
    evaluator = by_pycocotools(scores, kind)
    figures = list(scores.figures(kind).values())
    assert np.nan_to_num(figures, nan=-1) == pytest.approx(evaluator.stats, abs=1e-12)
    assert 0.1 < scores.figures(kind)["AP"] < 0.9 and len(figures) == (10 if kind == "keypoints" else 12)
    precision = evaluator.eval["precision"]  # its classes have the order of their ids: dog 5, owl 18, cat 90
    for name, k in {"cat": 2, "dog": 0}.items():
        assert scores.figures(kind, name)["AP"] == pytest.approx(precision[:, :, k, 0, -1].mean(), abs=1e-12)
        assert scores.curve(kind, name, 0.75).precision == pytest.approx(precision[5, :, k, 0, -1], abs=1e-12)


def test_the_truth_scores_one(annotations, truth):
    scores = score_detections(truth, annotations)
    assert scores.kinds == KINDS and scores.count == 8
    for kind in KINDS:
        figures = scores.figures(kind)
        few = ("AR1", "AR10")  # Images have more objects than these count.
        assert {value for name, value in figures.items() if name not in few} == {1.0}
    assert "detection whose keypoints are all 0, 0, 0, left out of keypoints" in str(scores.account)


def one_image(*boxes, **options):
    objects = tuple(Instance(1, box, area=400.0, **options) for box in boxes)
    return Annotations(Path("one.json"), ("cat",), (Picture(Path("a.jpg"), 5, 100, 100, objects),), (1,))


def boxes_of(*boxes, scores=None, label=1):
    scores = torch.tensor(scores or [0.5] * len(boxes))
    return {"boxes": torch.tensor(boxes), "scores": scores, "labels": torch.full((len(boxes),), label)}


def test_average_precision_by_hand():
    near, far, wrong = (0.0, 0, 20, 20), (50.0, 50, 70, 70), (30.0, 0, 50, 20)
    scores = score_detections([(5, boxes_of(near, wrong, far, scores=[0.9, 0.8, 0.7]))], one_image(near, far))
    # Precision is 1 up to recall 1/2, at the recalls 0 to 0.50, and 2/3 from there on.
    assert scores.figures()["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.curve().average_precision == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.figures()["AR1"] == 0.5 and isnan(scores.figures()["APl"])
    # An overlap of 4/5 counts up to the threshold of 0.8, which is the seventh of ten.
    assert score_detections([(5, boxes_of((0.0, 0, 20, 16)))], one_image(near)).figures()["AP"] == pytest.approx(0.7)


def test_objects_without_an_id_are_found():
    """Both evaluators take an object with the id 0 for one that was not found."""
    box = (0.0, 0, 20, 20)
    assert score_detections([(5, boxes_of(box))], one_image(box, id=0)).figures()["AP"] == 1


def test_nothing_found_scores_zero(annotations, truth):
    nothing = {name: tensor[:0] for name, tensor in truth[3].items()}
    scores = score_detections({picture.id: nothing for picture in annotations.pictures}, annotations)
    assert [scores.figures(kind)["AP"] for kind in KINDS] == [0, 0, 0] and not scores.account.cases
    empty = {"boxes": torch.tensor([]), "scores": torch.tensor([]), "labels": torch.tensor([])}
    assert score_detections([(3, empty)], annotations).figures()["AR100"] == 0


def test_an_image_without_detections_counts_and_is_named(annotations, truth):
    scores = score_detections({3: truth[3]}, annotations)
    assert "7 x image without detections, counted as one in which nothing was found (empty.jpg" in scores.summary()
    assert 0 < scores.figures()["AR100"] < 0.3


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("labels", 0, "label 0, where the classes of the annotations have 1 to 3, left out"),
        ("labels", 91, "label 91, where the classes of the annotations have 1 to 3, left out"),
        ("scores", nan, "score that is NaN or infinite, left out"),
        ("boxes", nan, "box with NaN or infinity, left out"),
        ("boxes", torch.inf, "box with NaN or infinity, left out"),
        (
            "boxes",
            torch.tensor([9.0, 9, 3, 20]),
            "box whose second corner lies left of its first or above it, left out",
        ),
        ("masks", nan, "mask with NaN, left out"),
        ("keypoints", nan, "keypoints with NaN or infinity, left out"),
    ],
)
def test_a_detection_that_cannot_be_counted_is_left_out_and_named(annotations, truth, name, value, reason):
    wrong = {key: torch.cat([tensor[:1], tensor]) for key, tensor in truth[40].items()}
    wrong["masks"] = wrong["masks"].double()
    wrong[name][0] = value
    scores = score_detections({**truth, 40: wrong}, annotations)
    assert f"1 x {reason} (image 40 (40.jpg))" in scores.summary()
    assert [scores.figures(kind)["AP"] for kind in KINDS] == [1, 1, 1]


def test_unknown_and_repeated_images_are_left_out_and_named(annotations, truth):
    pairs = [*truth.items(), (1234, truth[40]), (40, truth[40])]
    scores = score_detections(pairs, annotations)
    assert scores.figures()["AP"] == 1
    assert "its detections left out (6 detections in image 1234)" in scores.summary()
    assert "image that is given twice, the later detections left out (image 40 (40.jpg))" in scores.summary()
    with pytest.raises(ValueError, match=r"none of the images of 'made.json' has detections \(1 x image that the ann"):
        score_detections({1: truth[40]}, annotations)


def test_more_detections_than_an_evaluation_counts_are_named(annotations, truth):
    many = {name: torch.cat([tensor] * 25) for name, tensor in truth[40].items()}
    kinds = ("bbox", "keypoints")
    account = str(score_detections({**truth, 40: many}, annotations, kinds).account)
    assert "more than 20 detections of a class, of which keypoints counts the 20 best (40.jpg)" in account
    many["labels"][:] = 1
    account = str(score_detections({**truth, 40: many}, annotations, kinds).account)
    assert "more than 100 detections of a class, of which bbox counts the 100 best (40.jpg)" in account


def changed(annotations, **fields):
    """The first object with other fields."""
    first, second, *rest = annotations.pictures
    objects = (replace(second.instances[0], **fields), *second.instances[1:])
    return replace(annotations, pictures=(first, replace(second, instances=objects), *rest))


REFUSALS = [
    ("segm", {"segmentation": None}, None, r"1 of the \d+ objects of 'made.json' have no mask"),
    ("segm", {"segmentation": {"size": [9, 9], "counts": [81]}}, None, "in 40.jpg has 9 x 9 pixels, and the image 200"),
    ("segm", {"segmentation": {"size": [200, 240], "counts": "abc"}}, None, "run lengths that cannot be decoded"),
    ("keypoints", {}, (0.1, 0.1), r"sigmas=\[0.1, 0.1\] is not a positive number for each of the 3 keypoints"),
]


@pytest.mark.parametrize(("kind", "fields", "sigmas", "reason"), REFUSALS)
def test_a_kind_that_annotations_do_not_allow_is_refused_or_named(annotations, truth, kind, fields, sigmas, reason):
    annotations = changed(annotations, **fields)
    with pytest.raises(ValueError, match=f"{kind} cannot be scored: .*{reason}"):
        score_detections(truth, annotations, (kind,), sigmas=sigmas)
    scores = score_detections(truth, annotations, sigmas=sigmas)
    assert kind not in scores.kinds and f"1 x {kind} not scored" in str(scores.account)


def test_keypoints_of_other_names_need_sigmas(annotations, truth):
    annotations = replace(annotations, keypoints=("nose", "tail", "left_paw"))
    with pytest.raises(
        ValueError, match=r"the keypoints tail, left_paw of 'made.json' are not among COCO's 17.*sigmas="
    ):
        score_detections(truth, annotations, ("keypoints",))
    moved = {number: {**found, "keypoints": found["keypoints"] + 3} for number, found in truth.items()}
    narrow, wide = (
        score_detections(moved, annotations, ("keypoints",), sigmas=(sigma,) * 3).figures("keypoints")["AP"]
        for sigma in (0.01, 0.5)
    )
    assert narrow < 0.5 < wide


def test_annotations_without_objects_are_refused(annotations, truth):
    none = replace(annotations, pictures=annotations.pictures[:1])
    with pytest.raises(ValueError, match=r"'made.json' has no objects"):
        score_detections({11: truth[11]}, none)
    crowd = replace(annotations.pictures[2].instances[-1], crowd=True)
    only = replace(annotations, pictures=(replace(annotations.pictures[2], instances=(crowd,)),))
    with pytest.raises(ValueError, match="no objects, only 1 crowd, which an evaluation does not count"):
        score_detections({3: truth[3]}, only, ("bbox",))


def test_wrong_arguments_are_refused(annotations, truth):
    with pytest.raises(ValueError, match="there are no detections to score"):
        score_detections({}, annotations)
    with pytest.raises(ValueError, match="begin with a dict, which does not name its image"):
        score_detections(list(truth.values()), annotations)
    with pytest.raises(ValueError, match="there is no kind to score"):
        score_detections({3: {"scores": torch.zeros(0), "labels": torch.zeros(0)}}, annotations)
    with pytest.raises(ValueError, match=r"kind='box' is not one of 'bbox', .*; did you mean 'bbox'\?"):
        score_detections(truth, annotations, ("box",))
    with pytest.raises(ValueError, match=r"none of the images of 'made.json' has detections \(none were given\)"):
        score_results(CocoResults(annotations))


def test_the_order_of_the_images_does_not_matter(annotations, detections):
    scores = score_detections(detections, annotations)
    again = score_detections(reversed(detections.items()), annotations)
    assert all(again.figures(kind) == scores.figures(kind) for kind in KINDS)


def test_scores_as_words_and_tables(annotations, truth):
    scores = score_detections(truth, annotations, ("bbox", "keypoints"))
    assert scores.summary().startswith(
        "bbox AP 1.0000, AP50 1.0000, AP75 1.0000, keypoints AP 1.0000, AP50 1.0000, AP75 1.0000 "
        "(1 class without an object left out)"
    )
    header, rows = scores.table(annotations.classes)
    assert header == ("class", "objects", "bbox AP", "bbox AP50", "keypoints AP", "keypoints AP50")
    assert rows[2] == ("owl", "0", *["no object"] * 4) and rows[0][2:] == ("1.0000",) * 4
    assert sum(int(row[1]) for row in rows) == 42  # without crowds
    header, rows = scores.overview()
    assert header == ("figure", "bbox", "keypoints") and len(rows) == 15
    assert rows[0] == ("AP", "1.0000", "1.0000") and rows[3] == ("APs", "1.0000", "")
    assert not [name for name in ("summary", "table", "count", "write") if not hasattr(scores, name)]


def test_a_row_per_detection(annotations, truth, tmp_path):
    scores = score_detections(truth, annotations, ("bbox",))
    names = [(picture.file.name,) for picture in annotations.pictures]
    scores.write_detections(tmp_path / "all.csv", names, ("image",))
    with (tmp_path / "all.csv").open() as stream:
        header, empty, first, *rest = csv.reader(stream)
    assert header == ["image", "label", "score", "x1", "y1", "x2", "y2"] and len(rest) == 41
    assert empty == ["empty.jpg", "no detection", "", "", "", "", ""]
    instance = annotations.pictures[1].instances[0]
    corners = [f"{value:.2f}" for value in instance.box]
    assert first == ["40.jpg", ("cat", "dog")[instance.label - 1], "1.000000", *corners]


def test_curves_of_all_classes_and_of_some(annotations, detections):
    scores = score_detections(detections, annotations)
    curves = scores.curves("segm")
    assert "IoU 0.50" in curves and len(curves) == 10 and list(scores.curves("keypoints"))[9] == "OKS 0.95"
    assert np.mean([curve.average_precision for curve in curves.values()]) == pytest.approx(
        scores.figures("segm")["AP"]
    )
    assert list(scores.curves("bbox", ["cat", "dog"])) == ["cat", "dog"]
    with pytest.raises(
        ValueError, match=r"the class 'owl' has no object in 'made.json', so that it has no recall; there"
    ):
        scores.curve("bbox", "owl")
    with pytest.raises(ValueError, match=r"threshold=0.3 is not one of 0.5, 0.55"):
        scores.curve(threshold=0.3)
    with pytest.raises(ValueError, match=r"class='cats' is not one of 'cat', 'dog', 'owl'; did you mean 'cat'\?"):
        scores.figures("bbox", "cats")


def test_nothing_is_printed(annotations, detections, capfd):
    score_detections(detections, annotations)
    assert capfd.readouterr() == ("", "")


def test_a_package_that_is_absent_is_named(annotations, truth, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    monkeypatch.delitem(sys.modules, "faster_coco_eval.core", raising=False)
    with pytest.raises(
        ImportError, match=r"need faster-coco-eval, which is not installed: pip install 'wholeframe\[det"
    ):
        score_detections(truth, annotations, ("bbox",))
