"""Clips and views from a loader: the right frames with the right labels, reproducible, and robust to broken files."""

import math

import pytest
import torch
from torch.utils.data import DataLoader

pytest.importorskip("av")

from wholeframe.data.video.clip_folder import open_clips
from wholeframe.data.video.crops import Crop, fixed_crops, random_crop
from wholeframe.data.video.dataset import ClipDataset, ViewDataset
from wholeframe.data.video.region import Region
from wholeframe.data.video.sampling import Sampling


@pytest.fixture
def actions(tmp_path, make_video):
    """A folder with two videos of 100 frames (4 seconds) and a list of the actions in them."""
    make_video(tmp_path / "a.mkv", 100)
    make_video(tmp_path / "b.mkv", 100)
    lines = ["a,0,50,walk,train", "a,50,100,sit,train", "b,20,60,walk,test", "b,90,94,sit,test"]
    (tmp_path / "list.csv").write_text("\n".join(["video,start_frame,end_frame,label,split", *lines]))
    return tmp_path


# Nothing is cut off, so that the number of a frame can still be read.
def everything(height, width):
    return Region(0, 0, height, width, (height, width))


FRAMES = Crop(everything, lambda frames: frames.transpose(0, 1))
VIEW = Crop(everything, lambda frames: frames.transpose(0, 1)[None])


@pytest.fixture
def numbers_in(number_in):
    return lambda clip: [number_in(frame) for frame in clip.transpose(0, 1)]


def test_a_clip_stays_in_its_segment(actions, numbers_in):
    folder = open_clips(actions)
    dataset = ClipDataset(folder, folder.train, Sampling(4, 3), FRAMES)
    torch.manual_seed(0)
    starts = set()
    for _ in range(30):
        for index, (label, first, last) in enumerate([("walk", 0, 49), ("sit", 50, 99)]):
            clip, target = dataset[index]
            shown = numbers_in(clip)
            assert folder.classes[target] == label
            assert shown == list(range(shown[0], shown[0] + 12, 3))
            assert first <= shown[0] <= shown[-1] <= last
            starts.add(shown[0])
    assert len(starts) > 20


def test_views_are_spread_over_the_segment(actions, numbers_in):
    folder = open_clips(actions)
    sampling = Sampling(4, 2, short="clamp", views="pyslowfast")
    dataset = ViewDataset(folder, folder.val, sampling, VIEW, clips=3)
    views, target = dataset[0]
    assert views.shape == (3, 3, 4, 32, 96)
    assert [numbers_in(view) for view in views] == [[20, 22, 24, 26], [30, 32, 34, 36], [41, 43, 45, 47]]
    assert folder.classes[target] == "walk"
    assert [numbers_in(view) for view in dataset[1][0]] == [[90, 92, 93, 93]] * 3  # Four frames long.
    wrapped = ViewDataset(folder, folder.val, Sampling(4, 2), VIEW, clips=2)
    assert [numbers_in(view) for view in wrapped[1][0]] == [[90, 92, 90, 92], [92, 90, 92, 90]]


def test_shapes_and_types(actions):
    folder = open_clips(actions)
    clip, label = ClipDataset(folder, folder.train, Sampling(4, 3), random_crop(16))[0]
    assert (clip.shape, clip.dtype, label) == ((3, 4, 16, 16), torch.uint8, 1)
    views, label = ViewDataset(folder, folder.val, Sampling(4, 3), fixed_crops(16, crops="three"), clips=10)[0]
    assert (views.shape, views.dtype, label) == ((30, 3, 4, 18, 18), torch.uint8, 1)


def test_a_clip_has_the_labels_of_the_time_it_shows(actions, numbers_in):
    folder = open_clips(actions, window=math.inf)
    dataset = ClipDataset(folder, folder.train, Sampling(4, 2), FRAMES)
    torch.manual_seed(0)
    seen = set()
    for _ in range(60):
        clip, target = dataset[0]
        shown = numbers_in(clip)
        assert target.tolist() == [float(shown[-1] >= 50), float(shown[0] < 50)]  # sit, walk
        seen.add(tuple(target.tolist()))
    assert seen == {(0, 1), (1, 0), (1, 1)}
    assert ViewDataset(folder, folder.val, Sampling(4, 2), fixed_crops(16))[0][1].tolist() == [1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_breaks_later_is_replaced_and_counted(actions, numbers_in, workers):
    folder = open_clips(actions)
    dataset = ClipDataset(folder, [*folder.val, *folder.train], Sampling(4, 1), FRAMES)
    (actions / "b.mkv").write_bytes(b"no film any more")
    assert dataset.failures() == ""
    items = list(DataLoader(dataset, batch_size=None, num_workers=workers))
    assert [target for _, target in items] == [1, 1, 1, 0]  # The label of the clip read instead, not that of b.
    assert all(numbers_in(clip)[-1] < 50 for clip, _ in items[:3])
    report = dataset.failures()
    assert report.startswith("2 of 4 clips could not be decoded, and the next clip was taken instead: '")
    assert "b.mkv' (2 times)" in report  # For itself, and in place of the one before.
    (actions / "a.mkv").unlink()
    with pytest.raises(ValueError, match=r"none of the 4 clips of .* can be decoded any more"):
        dataset[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_breaks_before_evaluation_is_not_scored(actions, workers):
    folder = open_clips(actions)
    several = open_clips(actions, window=math.inf)
    datasets = [ViewDataset(f, f.val, Sampling(4, 1), fixed_crops(16), clips=2) for f in (folder, several)]
    (actions / "b.mkv").write_bytes(b"no film any more")
    for dataset, count in zip(datasets, (2, 1), strict=True):
        ((views, target),) = DataLoader(dataset, batch_size=4, num_workers=workers)
        assert views.shape == (count, 2, 3, 4, 16, 16)
        assert (target == -1).all()
        assert "it was left out of the score" in dataset.failures()


@pytest.mark.slow
def test_an_epoch_is_reproducible_with_worker_processes(actions):
    folder = open_clips(actions)

    def epoch(seed):
        source = torch.Generator().manual_seed(seed)
        dataset = ClipDataset(folder, folder.train * 4, Sampling(4, 1), random_crop(16))
        loader = DataLoader(dataset, batch_size=2, shuffle=True, num_workers=2, generator=source)
        return torch.stack([clips for clips, _ in loader])

    assert torch.equal(epoch(0), epoch(0))
    assert not torch.equal(epoch(0), epoch(1))


def test_a_missing_package_is_not_a_broken_file(actions, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchcodec.decoders", None)
    folder = open_clips(actions)
    with pytest.raises(ImportError, match="torchcodec"):
        ClipDataset(folder, folder.train, Sampling(4, 1), FRAMES, backend="torchcodec")[0]


def test_no_views(actions):
    folder = open_clips(actions)
    with pytest.raises(ValueError, match="clips=0 must be at least 1"):
        ViewDataset(folder, folder.val, Sampling(4, 1), fixed_crops(16), clips=0)
