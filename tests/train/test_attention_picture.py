"""The picture of the attention of an arm, from an image, a clip or a scene of a detector."""

import pytest
import torch
from PIL import Image

from wholeframe.data.image_folder import open_folder
from wholeframe.models.build import ModelConfig, build
from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.recipes.compared import Compared
from wholeframe.recipes.shapes import DATA
from wholeframe.recipes.tables.table import arm
from wholeframe.train import attention_picture
from wholeframe.train.arms import Arm, Training
from wholeframe.train.attention_picture import picture, picture_name
from wholeframe.train.fit import network_for
from wholeframe.train.inputs.images import Images, folder_splits
from wholeframe.train.loaders import marker_splits
from wholeframe.train.shapes import shapes_splits


@pytest.fixture(scope="module")
def splits():
    return marker_splits("recall", Images(size=32, batch=8, workers=0), 0, steps=2, test=8)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("block", "drawn"), [("nl", True), ("gc", True), ("se", False), (None, False)])
def test_pictures_of_blocks_that_attend(tmp_path, splits, block, drawn):
    options = {"ratio": 0.25} if block in ("gc", "se") else {}
    network = build(ModelConfig(backbone="small_dense", block=block, options=options), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists() == drawn


def test_the_picture_asks_where_a_label_is_asked(tmp_path, splits, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "wholeframe.train.attention_picture.draw_attention", lambda image, query, *_: asked.append(query)
    )
    network = build(ModelConfig(backbone="small_dense", block="nl"), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    (query,) = asked
    _, label = splits.val[0]
    assert label[query[0] // 2, query[1] // 2] >= 0


def test_the_picture_asks_the_cell_of_the_label(tmp_path, splits, monkeypatch):
    """The cell of the network that has the logits of the label, and not its neighbour."""
    found = []
    monkeypatch.setattr("wholeframe.train.attention_picture.draw_attention", lambda *given: found.append(given[2]))
    network = build(ModelConfig(backbone="small_dense", block="nl"), 2, torch.zeros(1, 3, 32, 32))
    picture(network, splits, tmp_path / "a.png")
    ((record,),) = found
    _, label = splits.val[0]
    assert record.cell == tuple((label >= 0).nonzero()[0].tolist())


def test_the_picture_asks_the_centre_where_the_label_is_the_images(tmp_path, make_photos, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "wholeframe.train.attention_picture.draw_attention", lambda image, query, *_: asked.append(query)
    )
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
    monkeypatch.setattr(
        "wholeframe.train.attention_picture.draw_attention", lambda image, query, *_: asked.append(query)
    )
    splits = shapes_splits(DATA, 0, steps=1, test=1)
    model = ToyDetectorConfig(block="nl")
    picture(build(model, 4, ([torch.rand(3, 64, 64)],)), splits, tmp_path / "a.png")
    _, target = splits.val[0]
    ((y, x),) = asked
    assert target["labels"][0] > 2 and target["masks"][0, y, x]


def drawn(each, tmp_path):
    """The picture of an untrained arm of a table, and its samples."""
    compared, training = Compared(steps=1), Training(each, 0)
    samples = compared.splits(training)
    torch.manual_seed(0)
    network = network_for(compared.recipe(training), len(samples.classes))
    picture(network, samples, tmp_path / "a.png")
    return samples


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", ["recall_clips", "recall_cut"])
def test_clips_are_drawn_frame_by_frame(tmp_path, monkeypatch, task):
    """The query is a labelled cell, and every frame of the clip is in the scene."""
    views = []
    real = attention_picture.strips_of
    monkeypatch.setattr(attention_picture, "strips_of", lambda view: [views.append(view), real(view)][1])
    samples = drawn(arm("nl", task=task), tmp_path)
    clip, label = samples.val[0]
    (view,) = views
    ((t, y, x),) = view.queries
    assert label[t, y // 2, x // 2] >= 0 and view.labels == [f"query t={t} y={y} x={x}"]
    assert view.scene.clip and torch.equal(torch.from_numpy(view.scene.frames), clip.permute(1, 2, 3, 0))
    assert [record.weights.shape for record in view.found[0]] == [(*clip.shape[1:2], 8, 8)]
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and image.width > 2 * image.height


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("block", "options"), [("nl", {}), ("gc", {"fusion": "multiply", "init": "random"})], ids=["nl", "gc"]
)
def test_an_image_in_a_network_for_clips_is_drawn_as_an_image(tmp_path, monkeypatch, block, options):
    found = []
    real = attention_picture.draw_attention
    monkeypatch.setattr(attention_picture, "draw_attention", lambda *given: [found.append(given), real(*given)][1])
    samples = drawn(arm(block, task="gist", **options), tmp_path)
    ((scene, (y, x), records, _),) = found
    _, label = samples.val[0]
    assert scene.shape == (32, 32, 3) and label[y // 2, x // 2] >= 0
    for record in records:
        assert record.weights.shape == ((32,) if record.kind == "channel" else (16, 16))
        assert record.grid == (16, 16) and len(record.frame.intervals) == len(record.key_frame.intervals) == 2
        assert record.cell == ((y // 2, x // 2) if record.kind == "pairwise" else None)
    assert (tmp_path / "a.png").exists()


def test_the_name_of_the_file():
    assert picture_name(Arm("gist", "nl", ModelConfig(backbone="small"))) == "attention-gist-nl.png"
    assert picture_name(arm("nl", ["layer2.1", "layer2.3"])) == "attention-recall_clips-c2d-nl-layer2.1-layer2.3.png"
