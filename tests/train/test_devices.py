"""Several devices: what they share, what they refuse, and that together they learn what one would."""

import dataclasses
import os
import subprocess
import sys
from itertools import chain

import pytest
import torch
from metrics_table import without_speed
from torch import nn
from torch.utils.data import BatchSampler

from wholeframe.commands import train
from wholeframe.models.build import ModelConfig, build
from wholeframe.surgery.norms import sync_batchnorm
from wholeframe.train.devices import Devices
from wholeframe.train.inputs.images import Images
from wholeframe.train.loaders import Share
from wholeframe.train.recipe import Recipe, Schedule
from wholeframe.train.run import Run

CPU = Devices(accelerator="cpu")


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_shares_make_up_the_batches_of_one_process(ranks):
    batches = BatchSampler([5, 3, 1, 0, 2, 4, 7, 8, 6], 6, drop_last=True)
    shares = [list(Share(batches, rank, ranks)) for rank in range(ranks)]
    assert all(len(share) == len(Share(batches, 0, ranks)) for share in shares)
    for whole, *parts in zip(batches, *shares, strict=True):
        assert sorted(whole) == sorted(chain.from_iterable(parts)) and {len(part) for part in parts} == {6 // ranks}


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path, make_photos):
    """Augmentation included; the network has no batch norm and no dropout."""
    photos = make_photos(tmp_path / "photos", side=32)
    model = ("--backbone", "timm/test_convnext", "--at", "stages.2", "--block-options", "norm=None")
    data = ("--size", "32", "--batch", "8", "--workers", "0", "--flip", "--epochs", "3")

    def command(name):
        return ["small_nl", "--data", str(photos), "--out", str(tmp_path / name), *model, *data, "--accelerator", "cpu"]

    train.main(command("one"))
    program = [sys.executable, "-m", "wholeframe", "train", *command("two"), "--devices", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(program, capture_output=True, text=True, env=environment, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("20 train and 4 val images") == ended.stdout.count("val accuracy") == 1

    one, two = (curve(Run(tmp_path / name)) for name in ("one", "two"))
    assert len(one) > 6 and one == pytest.approx(two, rel=1e-4)
    states = [Run(tmp_path / name).network().state_dict() for name in ("one", "two")]
    moved = max(float((states[0][key] - states[1][key]).abs().max()) for key in states[0])
    assert 0 < moved < 1e-4, "the sums are taken in another order, so not to the last bit"


def curve(run):
    """Every number that was logged, without the speed."""
    return [float(value) for row in without_speed(run.metrics) for value in row.values() if value]


# ---------------------------------------------------------------------------------------------- batch norm of all


def test_synchronised_norms_keep_blocks_names_and_output():
    model = ModelConfig(backbone="torchvision/resnet18", block="nl", at=("layer2.1.bn2", "layer3.1"))
    network = build(model, 3, image := torch.randn(2, 3, 32, 32))
    for name, parameter in network.named_parameters():
        if ".wholeframe." in name:
            nn.init.normal_(parameter, std=0.1)  # a block that does something
    before, keys = network.eval()(image), list(network.state_dict())
    sync_batchnorm(network)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 22 and all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    assert list(network.state_dict()) == keys and torch.equal(network(image), before)


def test_torchs_own_conversion_would_lose_a_block():
    network = build(
        ModelConfig(backbone="torchvision/resnet18", block="nl", at=("layer2.1.bn2",)), 3, torch.randn(1, 3, 32, 32)
    )
    nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert not network.get_submodule("layer2.1.bn2")._forward_hooks, "then `sync_batchnorm` is needed no more"


def test_a_norm_alone_has_no_place_to_be_replaced_in():
    norm = nn.BatchNorm2d(4)
    with pytest.raises(ValueError, match="is a BatchNorm2d itself"):
        sync_batchnorm(norm)


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        (dataclasses.replace(CPU, devices=3), "3 devices cannot share a batch of 8 evenly"),
        (dataclasses.replace(CPU, devices=2, nodes=4), "8 devices cannot share 4 validation samples"),
        (dataclasses.replace(CPU, sync_bn=True), "sync_bn needs GPUs"),
        (Devices(accelerator="gpu"), "accelerator='gpu', but torch finds no GPU"),
        (dataclasses.replace(CPU, strategy="fsdp"), "strategy='fsdp' needs GPUs; give --strategy ddp"),
    ],
)
def test_what_cannot_be_trained_together(monkeypatch, devices, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = Recipe(data=Images(batch=8), schedule=Schedule(epochs=1))
    with pytest.raises(ValueError, match=sentence):
        devices.refuse(recipe, validated=4)


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        (Devices(devices=3), "devices=3, but this machine has 2 GPUs"),
        (Devices(strategy="fsdp"), "clip=1.0 needs the norm of all gradients"),
    ],
)
def test_what_gpus_cannot_do(monkeypatch, devices, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=sentence):
        devices.refuse(Recipe(data=Images(batch=6), schedule=Schedule(clip=1.0)), validated=9)
    assert Devices(devices=2, sync_bn=True).refuse(Recipe(data=Images(batch=6)), validated=9) is None


def test_no_device():
    with pytest.raises(ValueError, match="devices must be at least 1, got 0"):
        Devices(devices=0)


def test_one_device_takes_any_batch():
    assert CPU.refuse(Recipe(data=Images(batch=7)), validated=1) is None
