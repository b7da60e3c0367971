"""`wholeframe collapse`: the sentence with the measurement, the saved weights, and what is refused."""

import shutil

import pytest
import torch

import wholeframe as wf
from wholeframe.train.run import Run


@pytest.fixture
def halves(photos, tmp_path):
    """Two folders with different images."""
    return [shutil.copytree(photos / name, tmp_path / name) for name in ("cat", "dog")]


@pytest.fixture
def constant(run, tmp_path):
    """A run whose query is constant, so that the block has an equal one."""
    folder = shutil.copytree(run, tmp_path / "run")
    content = torch.load(folder / "last.ckpt", weights_only=True)
    for name, value in content["state_dict"].items():
        if name.endswith("theta.weight"):
            value.zero_()
        if name.endswith("wholeframe.norm.weight"):
            value.fill_(1.0)
    torch.save(content, folder / "last.ckpt")
    return folder


@pytest.mark.slow
def test_a_block_that_has_an_equal_one(call, capsys, constant, halves, tmp_path):
    one, other = halves
    file = tmp_path / "snl.pt"
    call("collapse", constant, "--site", "stage3.5", "--calibration", one, "--check", other, "-o", file)
    told = capsys.readouterr().out
    assert "stage3.5: replacing this block by its SNL changed the branch by 0.00%" in told
    assert "held-out images, saving" in told and "the SNL is in its place" in told
    assert f"the weights with the new block are in '{file}'" in told
    network = Run(constant).network()
    wf.remove(network)
    assert wf.restore(network, file)[0].block == "SimplifiedNonLocal"


def test_a_block_that_stays(call, capsys, constant, halves, tmp_path):
    content = torch.load(constant / "last.ckpt", weights_only=True)
    for name, value in content["state_dict"].items():
        if name.endswith(("theta.weight", "phi.weight")):
            value.normal_(generator=torch.Generator().manual_seed(0))
    torch.save(content, constant / "last.ckpt")
    one, other = halves
    options = ("--site", "stage3.5", "--calibration", one, "--check", other)
    call("collapse", constant, *options, "--tolerance", 1e-9, "-o", tmp_path / "snl.pt")
    told = capsys.readouterr().out
    assert "the non-local block stays, because this is more than the tolerance of 0.0%" in told
    assert "snl.pt' is not written, because the block stays" in told and not (tmp_path / "snl.pt").exists()


@pytest.mark.slow
def test_refusals(refused, constant, halves, tmp_path):
    one, other = halves
    site = ("--site", "stage3.5")
    told = refused("collapse", constant, *site, "--calibration", one, "--check", one)
    assert "image 1 of check= is also in calibration=" in told
    told = refused("collapse", constant, *site, "--calibration", one, "--check", other, "-o", tmp_path / "a.onnx")
    assert "weights are saved as .pt" in told
    told = refused("collapse", constant, "--site", "head", "--calibration", one, "--check", other)
    assert "there is no block at 'head'; there are blocks at 'stage3.5'" in told
    assert "give --calibration DIR and --check DIR" in refused("collapse", constant, *site, "--data", one)
