"""The measurement of one arm of a comparison, and the picture of its attention."""

import dataclasses

import pytest
import torch
from PIL import Image

from wholeframe.data.image_folder import open_folder
from wholeframe.models.build import ModelConfig, build
from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.recipes.shapes import DATA
from wholeframe.train.arms import Arm
from wholeframe.train.compare import picture, train_one
from wholeframe.train.inputs.images import Images, folder_splits
from wholeframe.train.loaders import marker_splits
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.shapes import shapes_splits


@pytest.fixture(scope="module")
def splits():
    return marker_splits("recall", Images(size=32, batch=8, workers=0), 0, steps=2, test=8)


def recipe(block):
    return Recipe(
        ModelConfig(backbone="small_dense", block=block), Images(size=32, batch=8, workers=0), Schedule(epochs=1)
    )


def test_what_a_training_is_measured_by(splits):
    bare, _ = train_one(Arm("recall", "none", recipe(None).model), recipe(None), splits)
    result, network = train_one(Arm("recall", "nl", recipe("nl").model), recipe("nl"), splits)
    block = network.stage3[-1].wholeframe
    assert (bare.block, bare.params, result.block) == ("none", 0, "nl")
    assert result.params == sum(p.numel() for p in block.parameters()) == result.network_params - bare.network_params
    assert result.macs - bare.macs == block.multiply_adds((16, 16))
    assert 0 <= result.accuracy <= 1 and result.train_s > 0 and result.infer_ms > 0


def test_the_checksum_is_that_of_the_batches_in_their_order(splits):
    def batches(block, seed):
        data = Images(size=32, batch=8, workers=0)
        samples = splits if seed == 0 else marker_splits("recall", data, seed, steps=2, test=8)
        each = dataclasses.replace(recipe(block), seed=seed)
        return train_one(Arm("recall", str(block), each.model), each, samples)[0].batches

    assert batches(None, 0) == batches("nl", 0) == batches("gc", 0) != batches("nl", 1)


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
