"""Answers in files: every number comes back, and so does every name."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from wholeframe.train.answers import Answer, answers_file, write_features
from wholeframe.train.predict import Prediction

CLASSES = ["cat", "file", "a;b"]


def answer(name, *probabilities, start=None, end=None):
    p = torch.tensor(probabilities)
    return Answer(name, Prediction(p, p[:2] + 1), start, end)


GIVEN = [answer("b.png", 0.7, 0.2, 0.1), Answer("a\n\udcff.png", None, reason="broken"), answer("a.png", 0.1, 0.3, 0.6)]
TIMED = [answer("v.mp4", 0.7, 0.6, 0.1, start=0.0, end=2.0), Answer("v.mp4", None, 2.0, 4.5, "broken")]


def written(file, answers, many=False, timed=False):
    with answers_file(file, CLASSES, many, timed) as write:
        for each in answers:
            write(each)
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream)) if file.suffix == ".csv" else [json.loads(line) for line in stream]


def test_csv(tmp_path):
    assert written(tmp_path / "a.csv", GIVEN) == [
        ["file", "prediction", "cat", "file (class 1)", "a;b"],
        ["b.png", "cat", "0.700000", "0.200000", "0.100000"],
        ["a\n\\udcff.png", "not read", "", "", ""],
        ["a.png", "a;b", "0.100000", "0.300000", "0.600000"],
    ]


def test_json_lines(tmp_path):
    first, second, third = written(tmp_path / "a.jsonl", GIVEN)
    assert first["file"] == "b.png" and first["prediction"] == "cat" and third["prediction"] == "a;b"
    assert first["probabilities"] == pytest.approx({"cat": 0.7, "file (class 1)": 0.2, "a;b": 0.1})
    assert second == {"file": "a\n\udcff.png", "error": "broken"}


@pytest.mark.parametrize("many", [False, True])
def test_segments_have_times(tmp_path, many):
    rows = written(tmp_path / "a.csv", TIMED, many, timed=True)
    assert rows[0][:4] == ["file", "start", "end", "prediction"]
    assert [row[:4] for row in rows[1:]] == [
        ["v.mp4", "0.000", "2.000", "cat;file" if many else "cat"],
        ["v.mp4", "2.000", "4.500", "not read"],
    ]
    lines = written(tmp_path / "a.jsonl", TIMED, many, timed=True)
    assert (lines[0]["start"], lines[0]["end"]) == (0, 2) and lines[1]["error"] == "broken"
    assert lines[0]["prediction"] == (["cat", "file"] if many else "cat")


def test_answers_before_an_interruption_are_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), answers_file(tmp_path / "a.csv", CLASSES, False, False) as write:
        write(GIVEN[0])
        assert len((tmp_path / "a.csv").read_text().splitlines()) == 2
        raise KeyboardInterrupt


def test_features_have_the_names_of_their_files_in_order(tmp_path):
    done = [answer(f"{name}.png", k, 0.0, 0.0) for k, name in enumerate("bca987654321")]
    write_features(done, tmp_path / "f.safetensors")
    with safe_open(tmp_path / "f.safetensors", "pt") as stored:
        assert json.loads(stored.metadata()["files"]) == [f"{name}.png" for name in "bca987654321"]
        assert stored.get_tensor("features")[:, 0].tolist() == [k + 1 for k in range(12)]
        assert "start" not in stored.metadata()
    write_features(done, tmp_path / "f.npy")
    assert np.load(tmp_path / "f.npy").shape == (12, 2)


def test_features_of_segments_have_their_times(tmp_path):
    write_features(
        [answer("v", 0.0, 0, 0, start=0.0, end=2.0), answer("v", 1.0, 0, 0, start=2.0, end=5.0)],
        tmp_path / "f.safetensors",
    )
    with safe_open(tmp_path / "f.safetensors", "pt") as stored:
        assert [json.loads(stored.metadata()[key]) for key in ("files", "start", "end")] == [["v", "v"], [0, 2], [2, 5]]
