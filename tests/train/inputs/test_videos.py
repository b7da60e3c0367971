"""Clips are sent as 8 bits, and every way into a network makes the same floats of them."""

import dataclasses

import pytest
import torch
from torch import nn

pytest.importorskip("av")

from wholeframe.data.video.crops import COLOURS, Crop
from wholeframe.data.video.file import read_frames, video_info
from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.views import Views
from wholeframe.surgery.norms import precise_bn
from wholeframe.train.evaluate import evaluate
from wholeframe.train.fit import fit
from wholeframe.train.inputs.clips import ClipLocation, Clips
from wholeframe.train.inputs.videos import _augmented, reader
from wholeframe.train.predict import Predictor
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.tasks.classification import Classification


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
    return recipe.data.open(ClipLocation(tmp_path), recipe.task, recipe.seed)


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
    samples, network = videos.batches("val", Views(2, "three")).dataset, Watching().eval()
    batches = [(views[None], torch.tensor([label])) for views, label in (samples[0], samples[1])]
    scores = evaluate(network, batches, recipe.task, spec=recipe.data)
    views = torch.cat([views for views, _ in batches])
    same(torch.stack(network.fed), views, recipe)
    expected = network(floats(views, recipe).float().flatten(0, 1)).softmax(dim=1).unflatten(0, (2, 6)).mean(dim=1)
    torch.testing.assert_close(scores.probabilities, expected, check_stride=False)


def test_predict(videos, recipe):
    network = Watching()
    read = reader(recipe.data, Views(2, "centre"))
    Predictor(network, ("sit", "walk"), read, recipe.task, recipe.data)(videos.folder.val[0].path)
    same(network.fed[0], read(videos.folder.val[0].path), recipe)


def test_statistics_of_the_norms(videos, recipe):
    network, loader = Watching(), videos.splits().train_dataloader()
    sent = torch.cat([clips for clips, _ in loader])
    precise_bn(network, (recipe.data.to_input(clips) for clips, _ in loader))
    mean = floats(sent, recipe).mean(dim=(0, 2, 3, 4)).float()
    torch.testing.assert_close(network.norm.running_mean, mean, rtol=0, atol=1e-5)


def test_a_clip_is_the_part_of_its_frames(videos, recipe):
    """From a file to what is sent: frames as they are, scaled and cut on colours."""
    samples = videos.batches("val", Views(1, "centre")).dataset.samples
    views, _ = samples[0]
    info = video_info(videos.folder.val[0].path)
    (indices,) = recipe.data.sampling.evenly(1, info.frames)
    expected = samples.crop(read_frames(info.path, indices))
    assert views.shape == expected.shape == (1, 3, 4, 16, 16)
    assert (views.double() - expected.double()).abs().mean() < 1


def test_samples_are_the_splits_with_names_and_labels(videos):
    samples = videos.samples()
    assert sorted(label for _, _, label in samples) == ["sit"] * 3 + ["walk"] * 3
    assert sorted(name for _, name, _ in samples) == [f"{'sit' if n < 4 else 'walk'}/{n}.mp4" for n in range(1, 7)]
    assert videos.divided and len(videos.names("all")) == 6


def test_samples_of_windows_have_the_times_of_their_labels(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", 50)
    make_video(tmp_path / "b.mp4", 50)
    (tmp_path / "list.csv").write_text("video,start_time,end_time,label\na,0,1,walk\na,0.5,2,sit\nb,0,1,sit\n")
    recipe = Recipe(data=Clips(Sampling(4, 2), window=1.0), task=Classification("many"))
    inputs = recipe.data.open(ClipLocation(tmp_path), recipe.task, 0, whole=True)
    assert not inputs.divided and inputs.samples() == [
        ("train", "a.mp4 0.000 1.000", "walk 0.000 1.000;sit 0.500 2.000"),
        ("train", "a.mp4 1.000 2.000", "sit 0.500 2.000"),
        ("train", "b.mp4 0.000 1.000", "sit 0.000 1.000"),
        ("train", "b.mp4 1.000 2.000", ""),
    ]


def test_what_cannot_be_read_before_and_while_training(tmp_path, make_video):
    for name in ("sit/1.mp4", "sit/2.mp4", "sit/3.mp4", "walk/4.mp4", "walk/5.mp4", "walk/6.mp4"):
        make_video(tmp_path / name, 20)
    (tmp_path / "sit" / "bad.mp4").touch()
    recipe = Recipe(data=Clips(Sampling(4, 2), size=16, batch=2, workers=0), schedule=Schedule(epochs=1))
    inputs = recipe.data.open(ClipLocation(tmp_path), recipe.task, 0)
    with pytest.raises(ValueError, match=r"1 of 7 clips of '.*' cannot be read, .* give --tolerate 0\.2 to train"):
        inputs.refuse_unread()
    splits, lost = inputs.splits(), inputs.folder.train[0].path
    lost.unlink()
    fit(recipe, Watching(), splits)
    before, while_training = inputs.failures().split("; ")
    assert before == "1 of 7 clips could not be read and are left out: 1 (the file is empty): 'sit/bad.mp4'"
    assert while_training.startswith(
        f"1 of 4 clips could not be decoded, and the next clip was taken instead: '{lost}' ("
    )
    assert inputs.left_out() == [("sit/bad.mp4", "the file is empty")]


def test_randaugment_treats_all_frames_alike(recipe):
    """Frames that are equal before stay equal, and the clip stays 8-bit."""
    data = dataclasses.replace(recipe.data, randaugment=2)
    clip, changed = torch.full((4, 3, 16, 16), 90, dtype=torch.uint8), 0
    clip[:, :, :8] = 200
    augmented = _augmented(Crop(lambda h, w: None, lambda frames: frames.transpose(0, 1)), data)
    for seed in range(8):
        torch.manual_seed(seed)
        given = augmented.views(clip)
        assert given.shape == (3, 4, 16, 16) and given.dtype == torch.uint8 and type(given) is torch.Tensor
        assert all(torch.equal(given[:, 0], given[:, frame]) for frame in range(4))
        changed += not torch.equal(given, clip.transpose(0, 1))
    assert changed > 0
