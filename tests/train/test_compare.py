"""The tables of a comparison, and the network each row is about."""

import csv
import dataclasses

import pytest
import torch
from PIL import Image

from wholeframe.data.image_folder import open_folder
from wholeframe.models.build import ModelConfig, build
from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.recipes.shapes import DATA
from wholeframe.train.compare import (
    HEADER,
    Result,
    ShapesResult,
    cells,
    header,
    picture,
    summarise,
    train_one,
    write_csv,
    write_markdown,
)
from wholeframe.train.inputs.images import Images, folder_splits
from wholeframe.train.loaders import marker_splits
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.shapes import shapes_splits

ONE = Result("gist", "nl", 0, params=1234, macs=5_000_000, accuracy=0.5, train_s=2.0, infer_ms=1.0)
TWO = dataclasses.replace(ONE, seed=1, accuracy=0.7, train_s=4.0, infer_ms=3.0)
OTHER = dataclasses.replace(ONE, block="gc", accuracy=0.9)


def test_a_row_per_task_and_block_with_means_over_seeds():
    first, second = summarise([ONE, OTHER, TWO])
    assert (first.task, first.block, first.params, first.macs) == ("gist", "nl", 1234, 5_000_000)
    assert first.accuracies == (0.5, 0.7) and (first.train_s, first.infer_ms) == (3.0, 2.0)
    assert second.block == "gc" and second.accuracies == (0.9,)


def test_accuracy_with_its_spread_where_there_is_one():
    first, second = summarise([ONE, OTHER, TWO])
    assert first.accuracy() == "0.600 ± 0.141" and second.accuracy() == "0.900"


def test_cells_stand_under_the_header():
    (row,) = summarise([ONE])
    shown = dict(zip(HEADER, cells(row), strict=True))
    assert shown["block"] == "nl" and shown["new params"] == "1,234" and shown["accuracy"] == "0.500"


def test_tables(tmp_path):
    write_csv([ONE, TWO], tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [Result(**{f.name: f.type(row[f.name]) for f in dataclasses.fields(Result)}) for row in rows] == [ONE, TWO]

    write_markdown(summarise([ONE, OTHER]), "wholeframe compare --seeds 1", tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    assert "Made by `wholeframe compare --seeds 1`" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4 and {line.count("|") for line in table} == {len(HEADER) + 1}


def test_a_second_figure_where_a_task_has_one(tmp_path):
    """A table without `shapes` has the columns that it always had."""
    first, second = ({**dataclasses.asdict(row), "task": "shapes"} for row in (ONE, TWO))
    found = [ShapesResult(**first, own_form=0.9), ShapesResult(**second, own_form=1.0)]
    (row,) = summarise(found)
    assert header([row]) == (*HEADER[:4], "score", "own form", *HEADER[5:]) and header(summarise([ONE])) == HEADER
    shown = dict(zip(header([row]), cells(row, header([row])), strict=True))
    assert (shown["score"], shown["own form"]) == ("0.600 ± 0.141", "0.950 ± 0.071")
    (other,) = summarise([ONE])
    assert dict(zip(header([row]), cells(other, header([row])), strict=True))["own form"] == ""
    for results, there in (([ONE], False), ([ONE, *found], True)):
        write_csv(results, tmp_path / "results.csv")
        assert ("own_form" in (tmp_path / "results.csv").read_text()) == there


@pytest.fixture(scope="module")
def splits():
    return marker_splits("recall", Images(size=32, batch=8, workers=0), 0, steps=2, test=8)


def recipe(block):
    return Recipe(
        ModelConfig(backbone="small_dense", block=block), Images(size=32, batch=8, workers=0), Schedule(epochs=1)
    )


def test_what_a_training_is_measured_by(splits):
    bare, _ = train_one("recall", recipe(None), splits)
    result, network = train_one("recall", recipe("nl"), splits)
    block = network.stage3[-1].wholeframe
    assert (bare.block, bare.params, result.block) == ("none", 0, "nl")
    assert result.params == sum(p.numel() for p in block.parameters())
    assert result.macs - bare.macs == block.multiply_adds((16, 16))
    assert 0 <= result.accuracy <= 1 and result.train_s > 0 and result.infer_ms > 0


@pytest.mark.parametrize(("block", "drawn"), [("nl", True), ("gc", True), ("se", False), (None, False)])
def test_pictures_of_blocks_that_attend(tmp_path, splits, block, drawn):
    options = {"ratio": 0.25} if block in ("gc", "se") else {}
    network = build(ModelConfig(backbone="small_dense", block=block, options=options), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists() == drawn


def test_the_picture_asks_where_a_label_is_asked(tmp_path, splits, monkeypatch):
    asked = []
    monkeypatch.setattr("wholeframe.train.compare.draw_attention", lambda image, query, *_: asked.append(query))
    network = build(ModelConfig(backbone="small_dense", block="nl"), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    (query,) = asked
    _, label = splits.val[0]
    assert label[query[0] // 2, query[1] // 2] >= 0


def test_the_picture_asks_the_centre_where_the_label_is_the_images(tmp_path, make_photos, monkeypatch):
    asked = []
    monkeypatch.setattr("wholeframe.train.compare.draw_attention", lambda image, query, *_: asked.append(query))
    splits = folder_splits(open_folder(make_photos(tmp_path / "photos", count=4)), Images(size=16, batch=2), seed=0)
    picture(build(ModelConfig(backbone="small", block="nl"), 2, torch.zeros(1, 3, 16, 16)), splits, tmp_path / "a.png")
    assert asked == [(8, 8)]


def test_a_picture_is_an_image(tmp_path, splits):
    network = build(ModelConfig(backbone="small_dense", block="nl"), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and image.width > image.height


def test_the_picture_asks_where_a_partner_is_needed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("wholeframe.train.compare.draw_attention", lambda image, query, *_: asked.append(query))
    splits = shapes_splits(DATA, 0, steps=1, test=1)
    model = ToyDetectorConfig(block="nl")
    picture(build(model, 4, ([torch.rand(3, 64, 64)],)), splits, tmp_path / "a.png")
    _, target = splits.val[0]
    ((y, x),) = asked
    assert target["labels"][0] > 2 and target["masks"][0, y, x]
