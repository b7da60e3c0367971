"""Clips are sent as 8 bits, and every way into a network makes the same floats of them."""

import pytest
import torch
from torch import nn

pytest.importorskip("av")

from wholeframe.data.video.crops import COLOURS
from wholeframe.data.video.file import video_info, read_frames
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.views import Views
from wholeframe.surgery.norms import precise_bn
from wholeframe.train.evaluate import evaluate
from wholeframe.train.fit import fit
from wholeframe.train.inputs.videos import Videos, reader
from wholeframe.train.predict import Predictor
from wholeframe.train.recipe import Clips, Recipe, Schedule


class Watching(nn.Module):
    """A little network for clips that remembers what it was fed."""

    def __init__(self):
        super().__init__()
        self.norm, self.fc = nn.BatchNorm3d(3), nn.Linear(3, 2)
        self.fed = []

    def forward(self, clips):
        self.fed.append(clips.detach().clone())
        return self.fc(self.norm(clips).mean(dim=(2, 3, 4)))


@pytest.fixture(params=["nonlocal", "torchvision"])
def recipe(request):
    data = Clips(Sampling(4, 2), size=16, colours=request.param, batch=2, workers=0, flip=False)
    return Recipe(data=data, schedule=Schedule(epochs=1))


@pytest.fixture
def videos(tmp_path, make_video, recipe):
    for name in ("sit/1.mp4", "sit/2.mp4", "sit/3.mp4", "walk/4.mp4", "walk/5.mp4", "walk/6.mp4"):
        make_video(tmp_path / name, 20)
    return Videos(tmp_path, recipe, videos=None, unit=None, strict=False)


def floats(pixels, recipe):
    """By definition, in double precision: `(..., 3, t, h, w)` of 0 to 255."""
    mean, std = (torch.tensor(c, dtype=torch.float64)[:, None, None, None] for c in COLOURS[recipe.data.colours])
    return (pixels.double() / 255 - mean) / std


def same(fed, pixels, recipe):
    assert pixels.dtype == torch.uint8 and fed.dtype == torch.float32
    torch.testing.assert_close(fed.double(), floats(pixels, recipe), rtol=0, atol=1e-6)


def test_training_and_testing_after_an_epoch(videos, recipe):
    splits, network = videos.splits(), Watching()
    sent = [clips for clips, _ in splits.train_dataloader()] + [clips for clips, _ in splits.val_dataloader()]
    fit(recipe, network, splits)
    assert len(network.fed) == len(sent) == 3
    for fed, pixels in zip(network.fed, sent, strict=True):
        same(fed, pixels, recipe)


def test_evaluate(videos, recipe):
    samples, network = videos.samples("test", Views(2, "three")), Watching()
    batches = [(views[None], torch.tensor([label])) for views, label in (samples[0], samples[1])]
    scores = evaluate(network, batches, size=16, as_input=recipe.data.as_input)
    views = torch.cat([views for views, _ in batches])
    same(torch.stack(network.fed), views, recipe)
    expected = network(floats(views, recipe).float().flatten(0, 1)).softmax(dim=1).unflatten(0, (2, 6)).mean(dim=1)
    torch.testing.assert_close(scores.probabilities, expected, check_stride=False)


def test_predict(videos, recipe):
    network = Watching()
    read = reader(recipe.data, Views(2, "centre"))
    Predictor(network, ("sit", "walk"), read, "one", 16, recipe.data.as_input)(videos.folder.test[0].path)
    same(network.fed[0], read(videos.folder.test[0].path), recipe)


def test_statistics_of_the_norms(videos, recipe):
    network, loader = Watching(), videos.splits().train_dataloader()
    sent = torch.cat([clips for clips, _ in loader])
    precise_bn(network, (recipe.data.as_input(clips) for clips, _ in loader))
    mean = floats(sent, recipe).mean(dim=(0, 2, 3, 4)).float()
    torch.testing.assert_close(network.norm.running_mean, mean, rtol=0, atol=1e-5)


def test_a_clip_is_the_part_of_its_frames(videos, recipe):
    """From a file to what is sent: frames as they are, scaled and cut on colours."""
    samples = videos.samples("test", Views(1, "centre"))
    views, _ = samples[0]
    info = video_info(videos.folder.test[0].path)
    (indices,) = recipe.data.sampling.evenly(1, info.frames)
    expected = samples.crop(read_frames(info.path, indices))
    assert views.shape == expected.shape == (1, 3, 4, 16, 16)
    assert (views.double() - expected.double()).abs().mean() < 1
