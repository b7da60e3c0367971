"""Networks for predict: as many classes as the weights have, and names only where they are known."""

import pytest
import torch
from torch import nn

from wholeframe.models.build import create_backbone
from wholeframe.models.zoo import MODELS
from wholeframe.train.inputs.images import Images
from wholeframe.train.predict import clips_of, of_model


def weights_of(file, name, count, seed=0):
    torch.manual_seed(seed)
    network = create_backbone(name, count)
    nn.init.normal_(network.fc.weight)
    torch.save(network.state_dict(), file)
    return str(file)


@pytest.mark.slow
@pytest.mark.parametrize("count", [400, 7, 1000])
def test_a_network_for_videos_has_the_classes_of_its_weights(tmp_path, count):
    predictor = of_model("c2d_r18_nl1", weights_of(tmp_path / "w.pt", "c2d_r18_nl1", count))
    assert list(predictor.classes) == [f"class {k}" for k in range(count)] and predictor.of_clips
    prediction = predictor.of_sample(torch.zeros(1, 3, 8, 32, 32, dtype=torch.uint8))
    assert prediction.probabilities.shape == (count,) and prediction.features.shape == (512,)


@pytest.mark.slow
def test_a_network_for_images_has_the_names_of_imagenet_only_with_1000_classes(tmp_path):
    small = of_model("resnet18", weights_of(tmp_path / "s.pt", "resnet18", 5))
    assert list(small.classes) == [f"class {k}" for k in range(5)] and isinstance(small.spec, Images)
    assert of_model("resnet18", weights_of(tmp_path / "w.pt", "resnet18", 1000)).classes[1] == "goldfish"


@pytest.mark.parametrize(
    ("name", "frames", "stride", "colours"),
    [
        ("i3d_r50_nl5", 32, 2, "nonlocal"),
        ("i3d_r50_32x4", 32, 4, "nonlocal"),
        ("i3d_r50_nl5_128x1", 128, 1, "nonlocal"),
        ("i3d_r50_nl5_8x8", 8, 8, "nonlocal"),
        ("i3d_r50_slowfast", 8, 8, "nonlocal"),
        ("slowonly_r50_4x16_mmaction2", 4, 16, "torchvision"),
    ],
)
def test_clips_are_those_of_the_network(name, frames, stride, colours):
    clips = clips_of(name)
    assert (clips.sampling.frames, clips.sampling.stride, clips.colours) == (frames, stride, colours)


def test_clips_of_every_network_for_videos():
    for name, card in MODELS.items():
        if len(card.input) == 4:
            assert clips_of(name).sampling.frames == card.input[1] and clips_of(name).sampling.span in (64, 128), name


@pytest.mark.parametrize("name", ["torchvision/r3d_18", "fasterrcnn_resnet50_fpn", "raft_small"])
def test_networks_that_do_not_classify_images(name):
    with pytest.raises(ValueError, match=r"does not classify images, and predict takes such networks"):
        of_model(name)


def test_the_error_without_weights_says_where_the_classes_come_from():
    with pytest.raises(
        ValueError, match=r"of 'i3d_r50_nl5' to download; .* from whose classifier the number of classes"
    ) as told:
        of_model("i3d_r50_nl5")
    assert "1000" not in str(told.value)
