"""Files of results: results are read as they were written; every damage is one sentence."""

import json

import pytest

from wholeframe.train.tasks.coco_files import read_coco_results
from wholeframe.train.tasks.coco_scores import score_detections, score_results

pytest.importorskip("faster_coco_eval")

SQUARE = {"size": [200, 240], "counts": [0, 100, 47900]}


def result(**fields):
    return {"image_id": 40, "category_id": 5, "score": 0.5, "bbox": [1, 2, 3, 4], **fields}


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "results.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


def test_a_file_has_the_scores_of_its_detections(annotations, detections, tmp_path):
    scores = score_detections(detections, annotations)
    for kind in scores.kinds:
        scores.results.write(tmp_path / "results.json", kind)
        results = read_coco_results(tmp_path / "results.json", annotations, kind)
        assert results.entries(kind) == scores.results.entries(kind)
        assert score_results(results).figures(kind) == scores.figures(kind)


def test_a_file_without_results_found_nothing(annotations, write):
    scores = score_results(read_coco_results(write([]), annotations))
    assert scores.figures()["AP"] == 0 and not scores.account.cases


def test_counts_as_numbers_are_read(annotations, write):
    results = read_coco_results(write([result(segmentation=SQUARE)]), annotations, "segm")
    assert isinstance(results.entries("segm")[0]["segmentation"]["counts"], str)


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"image_id": 1}, "bbox", "result of an image that the annotations do not list, left out (result 2 of "),
        ({"category_id": 91}, "bbox", "category 91 that the annotations do not list, left out (result 2 of "),
        ({"score": float("nan")}, "bbox", "score that is NaN or infinite, left out (image 40 (40.jpg))"),
        ({"bbox": [1, 2, float("inf"), 3]}, "bbox", "box with NaN or infinity, left out (image 40 (40.jpg))"),
        ({"bbox": [1, 2, 10**400, 3]}, "bbox", "box with NaN or infinity, left out (image 40 (40.jpg))"),
        ({"bbox": [1, 2, -3, 3]}, "bbox", "box whose second corner lies left of its first or above it, left out"),
        (
            {"segmentation": {"size": [9, 9], "counts": [81]}},
            "segm",
            "mask that has not the size of its image, left out (image 40 (40.jpg))",
        ),
    ],
)
def test_results_that_cannot_be_counted_are_left_out_and_named(annotations, write, fields, kind, reason):
    good = result(segmentation=SQUARE)
    results = read_coco_results(write([good, {**good, **fields}]), annotations, kind)
    assert reason in str(results.account) and len(results.entries(kind)) == 1
    assert reason in score_results(results).summary()


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("[{", "bbox", "is not a JSON file that can be read"),
        ({"annotations": [], "images": []}, "bbox", "is a file of annotations; give a list of results"),
        ("3", "bbox", "is JSON of type int; give a list of results"),
        (
            [result(image_id=1)],
            "bbox",
            r"none of the 1 result of '.*' is of an image of 'made.json'; give the annot",
        ),
        (
            [result(), 7],
            "bbox",
            "result 2 of .* has no image_id, category_id, score, bbox; a result of the kind 'bbox'",
        ),
        ([result()], "segm", "result 1 of .* has no segmentation; a result of the kind 'segm' has image_id, c"),
        ([result(score="high")], "bbox", "has the score 'high', which is not a number"),
        ([result(image_id="40")], "bbox", "has an image_id or a category_id that is not a whole number"),
        ([result(bbox=[1, 2, 3])], "bbox", "has a bbox that is not a list of four numbers"),
        ([result(bbox=[1, 2, 3, None])], "bbox", "has a bbox that is not a list of four numbers"),
        ([result(keypoints=[1, 2])], "keypoints", "has not 9 numbers: x, y and visibility of 3 keypoints"),
        ([result(segmentation=[[1, 2, 3, 4, 5, 6]])], "segm", "has run lengths, not polygons"),
        ([result(segmentation={"size": [200, 240], "counts": "abc"})], "segm", "run lengths that cannot be"),
        (
            [result(segmentation={"size": [200, 240], "counts": [1, 99999]})],
            "segm",
            "run lengths that cannot be",
        ),
        ([result(segmentation={"size": 7, "counts": "abc"})], "segm", "run lengths that cannot be"),
        ([result(segmentation={"size": [200, 240], "counts": 7})], "segm", "run lengths that cannot be"),
        (
            [result(segmentation={"size": [200, 240], "counts": [-1, "x"]})],
            "segm",
            "run lengths that cannot be",
        ),
        ([result(segmentation={"size": [-200, 240], "counts": ""})], "segm", "run lengths that cannot be"),
    ],
)
def test_a_file_of_another_form_is_refused(annotations, write, content, kind, message):
    with pytest.raises(ValueError, match=message):
        read_coco_results(write(content), annotations, kind)


def test_a_file_that_does_not_exist_is_named(annotations, tmp_path):
    with pytest.raises(ValueError, match=r"there is no file '.*absent.json'"):
        read_coco_results(tmp_path / "absent.json", annotations)
