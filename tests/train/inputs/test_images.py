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


def test_samples_are_the_splits_with_names_and_labels(photos, inputs):
    samples = inputs.samples()
    assert len(samples) == 16 and len(set(samples)) == 16
    for split in ("train", "val", "test"):
        assert [(name,) for s, name, _ in samples if s == split] == inputs.names(split)
    assert all(name.split("/")[1] == label for _, name, label in samples)
    assert inputs.divided and len(inputs.names("all")) == 16


def test_a_folder_as_a_whole(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=3)
    inputs = open_inputs(DATA, ImageLocation(photos), Classification(), 0, whole=True)
    assert not inputs.divided and len(inputs.names("all")) == 6
    assert sum(len(batch) for batch, _ in inputs.batches("all", None)) == 6


def test_what_cannot_be_read(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=3)
    (photos / inputs_class(photos) / "bad.jpg").touch()
    inputs = open_inputs(DATA, ImageLocation(photos), Classification(), 0)
    name = f"{inputs_class(photos)}/bad.jpg"
    assert inputs.left_out() == [(name, "the file is empty")]
    said = f"1 of 7 images could not be read and are left out: 1 (the file is empty): '{name}'"
    assert inputs.failures() == said
    with pytest.raises(ValueError, match=r"1 of 7 images of '.*' cannot be read, .* give --tolerate 0\.2 to train"):
        inputs.refuse_unread()
    open_inputs(DATA, ImageLocation(photos, tolerate=0.2), Classification(), 0).refuse_unread()


def inputs_class(photos):
    return sorted(folder.name for folder in photos.iterdir())[0]
