"""Objects in files for machines: every number comes back."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from wholeframe.explain.found import Found
from wholeframe.train.object_answers import ObjectAnswer, objects_file, run_lengths, short

mask = pytest.importorskip("faster_coco_eval.core").mask

CLASSES, NAMES = ["cat", "a;b\n"], ["nose", "tail"]
FOUND = Found(
    size=(20, 30),
    boxes=torch.tensor([[1.5, 2, 11.5, 12], [0, 0, 30, 20]]),
    labels=torch.tensor([2, 1]),
    scores=torch.tensor([0.7, 0.1]),
    masks=torch.ones(2, 1, 28, 28),
    keypoints=torch.tensor([[[3.25, 4], [5, 6]], [[7, 8], [9, 10]]]),
    keypoint_scores=torch.tensor([[1.5, -2], [0, 0.1]]),
)
NONE = Found((5, 6), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
GIVEN = [
    ObjectAnswer(Path("a.jpg"), FOUND),
    ObjectAnswer(Path("b\udcff.jpg"), None, "broken"),
    ObjectAnswer(Path("c.jpg"), NONE),
]


def written(file):
    with objects_file(file, CLASSES, NAMES) as write:
        for answer in GIVEN:
            write(answer)
    with file.open(newline="", encoding="utf-8") as stream:
        if file.suffix == ".csv":
            return list(csv.reader(stream))
        return json.load(stream) if file.suffix == ".json" else [json.loads(line) for line in stream]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json(tmp_path, name):
    first, second, third = written(tmp_path / name)
    assert (first["file"], first["width"], first["height"]) == ("a.jpg", 30, 20)
    one, other = first["detections"]
    assert (one["class"], one["score"], one["box"]) == ("a;b\n", 0.7, [1.5, 2, 11.5, 12])
    assert one["keypoints"] == {"nose": [3.25, 4, 1.5], "tail": [5, 6, -2]} and other["class"] == "cat"
    for index, detection in enumerate((one, other)):
        assert detection["mask"]["size"] == [20, 30]
        assert torch.equal(torch.from_numpy(mask.decode(detection["mask"])).bool(), FOUND.mask(index))
    assert second == {"file": "b\udcff.jpg", "error": "broken"}
    assert third == {"file": "c.jpg", "width": 6, "height": 5, "detections": []}


def test_csv(tmp_path):
    assert written(tmp_path / "a.csv") == [
        ["file", "width", "height", "class", "score", "x1", "y1", "x2", "y2"],
        ["a.jpg", "30", "20", "a;b\n", "0.7", "1.5", "2.0", "11.5", "12.0"],
        ["a.jpg", "30", "20", "cat", "0.1", "0.0", "0.0", "30.0", "20.0"],
        ["b\\udcff.jpg", "", "", "not read", "", "", "", "", ""],
        ["c.jpg", "6", "5", "", "", "", "", "", ""],
    ]


def test_an_interruption_keeps_lines_and_leaves_the_json_of_before(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    for name in ("a.json", "a.jsonl"):
        with pytest.raises(KeyboardInterrupt), objects_file(tmp_path / name, CLASSES, NAMES) as write:
            write(GIVEN[0])
            raise KeyboardInterrupt
    assert (tmp_path / "a.json").read_text() == "[]" and len((tmp_path / "a.jsonl").read_text().splitlines()) == 1


def test_run_lengths_of_an_image_that_is_not_square():
    pixels = torch.zeros(3, 5, dtype=torch.bool)
    pixels[1, 2:] = True
    code = run_lengths(pixels)
    assert code["size"] == [3, 5] and isinstance(code["counts"], str)
    assert np.array_equal(mask.decode(code).astype(bool), pixels.numpy())


def test_numbers_have_the_fewest_digits():
    numbers = torch.tensor([[0.7, 1 / 3], [1e-30, 16777216]])
    assert short(numbers) == [[0.7, 0.33333334], [1e-30, 16777216]]
    assert torch.equal(torch.tensor(short(numbers)), numbers)
