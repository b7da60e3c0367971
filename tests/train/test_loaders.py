"""Every epoch's data is a function of (seed, epoch) alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import BatchSampler, TensorDataset

from wholeframe.data.image_folder import open_folder
from wholeframe.data.images import transforms
from wholeframe.train.inputs.images import Images, folder_splits
from wholeframe.train.loaders import Grouped, Splits, epoch_seed, marker_splits, refuse_workers


@pytest.fixture
def numbers():
    """Splits of which every training image is its number."""
    train = TensorDataset(torch.arange(10), torch.arange(10))
    return Splits(
        train, TensorDataset(torch.arange(5), torch.arange(5)), ("a", "b"), Images(batch=4, workers=0), seed=1
    )


def order(splits, epoch):
    splits.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0, world_size=1)
    return [image.tolist() for image, _ in splits.train_dataloader()]


def test_epoch_seeds_do_not_meet():
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(1000)}) == 20_000


def test_the_order_depends_on_seed_and_epoch_alone(numbers):
    first = order(numbers, 3)
    torch.manual_seed(5)
    assert order(numbers, 3) == first != order(numbers, 4)
    numbers.seed = 2
    assert order(numbers, 3) != first


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_is_the_same_however_often_it_is_begun(tmp_path, make_photos, workers):
    """Lightning begins some epochs twice: neither order nor augmentation may depend on that."""
    folder = open_folder(make_photos(tmp_path / "photos", count=5))
    loader = folder_splits(folder, Images(size=8, batch=4, workers=workers), seed=0).train_dataloader()

    def images(begun):
        torch.manual_seed(0)  # where there are no workers, augmentation draws from here
        for _ in range(begun):
            batches = iter(loader)
        return torch.cat([batch for batch, _ in batches])

    assert torch.equal(images(begun=1), images(begun=2))


def test_training_drops_the_last_part_of_a_batch_and_testing_does_not(numbers):
    assert [len(batch) for batch in order(numbers, 0)] == [4, 4]
    assert [image.tolist() for image, _ in numbers.val_dataloader()] == [[0, 1, 2, 3], [4]]


def test_without_a_trainer_it_is_the_first_epoch(numbers):
    assert [image.tolist() for image, _ in numbers.train_dataloader()] == order(numbers, 0)


def test_a_picture_is_the_image_again(tmp_path, numbers):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = transforms(8, train=False)(Image.fromarray(pixels))
    assert np.array_equal(numbers.picture(image), pixels)


def test_marker_pictures_are_grey_around_the_markers():
    splits = marker_splits("gist", Images(batch=4, workers=0), 0, steps=1, test=2)
    picture = splits.picture(splits.val[0][0])
    assert picture.shape == (32, 32, 3) and picture.dtype == np.uint8 and abs(np.median(picture) - 128) < 4


def test_folder_splits(tmp_path, make_photos):
    folder = open_folder(make_photos(tmp_path / "photos"))
    splits = folder_splits(folder, Images(size=8, batch=4, workers=0), seed=0)
    assert splits.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.val)) == (len(folder.train), len(folder.val)) == (20, 4)
    images, labels = next(iter(splits.train_dataloader()))
    assert images.shape == (4, 3, 8, 8) and labels.shape == (4,)
    assert torch.equal(splits.val[0][0], splits.val[0][0]), "test images are the same each time"
    assert not torch.equal(splits.train[0][0], splits.train[0][0]), "training images are not"


def test_fewer_images_than_a_batch(tmp_path, make_photos):
    folder = open_folder(make_photos(tmp_path / "photos", count=5))
    with pytest.raises(
        ValueError, match=r"photos' has 8 training images, fewer than one batch of 9; give --batch 4 or"
    ):
        folder_splits(folder, Images(size=8, batch=9), seed=0)
    assert len(folder_splits(folder, Images(size=8, batch=8, workers=0), seed=0).train_dataloader()) == 1


def test_marker_splits():
    splits = marker_splits("recall", Images(batch=4, workers=0), 0, steps=3, test=6)
    assert len(splits.train_dataloader()) == 3 and len(splits.val) == 6
    assert splits.classes == ("dark", "bright")
    assert not torch.equal(splits.train[0][0], splits.val[0][0])
    other = marker_splits("recall", Images(batch=4, workers=0), 1, steps=3, test=6)
    images = [split[0][0] for s in (splits, other) for split in (s.train, s.val)]
    assert len({float(image.sum()) for image in images}) == 4, "no two seeds share images"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Images(batch=0), r"batch must be at least 1, got 0 \(32 is usual\)"),
        (lambda: Images(batch=-3), "batch must be at least 1, got -3"),
    ],
)
def test_batches_that_are_none(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_goes_on_after_its_trained_batches(numbers, workers):
    numbers.data = Images(batch=2, workers=workers)
    whole = order(numbers, 3)
    numbers.load_state_dict({"epoch": 3, "batches": 2})
    assert order(numbers, 3) == whole[2:] and len(whole) == 5
    assert len(numbers.train_dataloader()) == 5, "the epoch has as many batches as before"
    assert len(order(numbers, 4)) == 5, "the next epoch is a whole one"


def test_without_shared_memory(monkeypatch):
    def missing(_tensor):
        raise RuntimeError("unable to open shared memory object </torch_1> in read-write mode: No such file (2)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", missing)
    refuse_workers(0)
    with pytest.raises(ValueError, match=r"workers=2, but there is no shared memory .*; give --workers 0"):
        refuse_workers(2)


def test_batches_of_one_group_and_none_lost():
    """As many batches as without groups, in the order of the epoch; what fills no batch of its own is mixed."""
    order, groups = [5, 3, 1, 0, 2, 4, 7, 8, 6], [0, 1, 0, 1, 0, 0, 0, 1, 0]
    assert list(Grouped(order, 2, [0] * 9)) == list(BatchSampler(order, 2, drop_last=True))
    batches = list(Grouped(order, 2, groups))
    assert batches == [[3, 1], [5, 0], [2, 4], [8, 6]] and len(Grouped(order, 2, groups)) == 4
    assert list(Grouped(order, 4, groups)) == [[5, 0, 2, 4], [3, 1, 7, 8]]
    mixed = list(Grouped(range(6), 4, [0, 1, 0, 1, 0, 1]))
    assert mixed == [[0, 2, 4, 1]] and len(Grouped(range(6), 4, [0, 1, 0, 1, 0, 1])) == 1
