"""Images as a value of the recipe: opened, split, read, and given to a network."""

import pytest
import torch
from torch import nn

from wholeframe.data.images import read_image, transforms
from wholeframe.train.inputs import open_inputs
from wholeframe.train.inputs.images import ImageLocation, Images
from wholeframe.train.tasks.classification import Classification

DATA = Images(size=8, batch=3, workers=0)


@pytest.fixture
def photos(tmp_path, make_photos):
    for split, count in (("train", 5), ("val", 2), ("test", 1)):
        make_photos(tmp_path / "photos" / split, count=count)
    return tmp_path / "photos"


@pytest.fixture
def inputs(photos):
    return open_inputs(DATA, ImageLocation(photos), Classification(), 0)


def test_batches_of_a_split_are_its_files_in_order(photos, inputs):
    for split, count in (("train", 10), ("val", 4), ("test", 2)):
        images = torch.cat([batch for batch, _ in inputs.batches(split, None)])
        names = inputs.names(split)
        assert len(images) == len(names) == count and all(name.startswith(f"{split}/") for (name,) in names)
        for image, (name,) in zip(images, names, strict=True):
            assert torch.equal(image, transforms(8, train=False)(read_image(photos / name)))


def test_a_file_is_read_as_in_an_evaluation(photos, inputs):
    ((name,), *_) = inputs.names("val")
    image, _ = next(iter(inputs.batches("val", None)))
    assert torch.equal(DATA.reader(None)(photos / name), image[0])


def test_a_folder_without_a_split(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=3)
    inputs = open_inputs(DATA, ImageLocation(photos), Classification(), 0)
    with pytest.raises(ValueError, match="photos' has no test split; give --split val"):
        inputs.names("test")


def test_a_network_sees_an_image_once():
    network, images = nn.Conv2d(3, 2, 8), torch.randn(4, 3, 8, 8)
    assert torch.equal(DATA.to_input(images), images) and DATA.example().shape == (1, 3, 8, 8)
    assert torch.equal(DATA.outputs(network, images), network(images)[:, None])
    assert DATA.test_views(None) is None and DATA.test_views("1x1") is None
    with pytest.raises(ValueError, match="--views 10x3 applies to videos"):
        DATA.test_views("10x3")


def test_one_label_per_image(photos):
    with pytest.raises(ValueError, match="labels='many' does not apply to a folder of images"):
        open_inputs(DATA, ImageLocation(photos), Classification("many"), 0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": 0}, r"size must be at least 1, got 0 \(224 is usual\)"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"val_fraction": 2}, "val_fraction must lie between 0 and 1, got 2"),
        ({"area": 0}, "area=0"),
        ({"shorter": 4, "size": 8}, "shorter=4"),
    ],
)
def test_values_that_cannot_be(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        Images(**fields)
