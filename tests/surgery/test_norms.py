"""Precise statistics and frozen norms."""

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.blocks import Affine
from wholeframe.models.toy import ToyNet
from wholeframe.surgery.norms import freeze_norms, precise_bn

RANKS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def lived_in(network):
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network


@pytest.mark.parametrize("rank", RANKS)
def test_statistics_of_all_batches_as_if_they_were_one(rank):
    """Batches of unequal size and unequal mean: the mean of their variances would be far off."""
    norm = RANKS[rank](4).double()
    grid = (3, 4, 5)[:rank]
    batches = [torch.randn(b, 4, *grid).double() * (i + 1) + 10 * i for i, b in enumerate((2, 3, 1))]
    assert precise_bn(norm, batches) == 3
    everything = torch.cat(batches).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, everything.mean(dim=1))
    torch.testing.assert_close(norm.running_var, everything.var(dim=1))


def test_deeper_layers_see_what_they_see_in_training():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    x = torch.randn(8, 3, 6, 6).double() * 5 + 7
    precise_bn(network, [x])
    network[0].train()
    network[1].eval()
    deep = network[:3](x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(network[3].running_mean, deep.mean(dim=1))
    torch.testing.assert_close(network[3].running_var, deep.var(dim=1))


def test_only_the_statistics_move():
    network = ToyNet(2, strides=(2, 2, 2)).train()
    network.stage2.eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    flags = [module.training for module in network.modules()]
    pulled = []

    def batches():
        for number in range(5):
            pulled.append(number)
            yield torch.randn(2, 3, 16, 16), torch.zeros(2)

    assert precise_bn(network, batches(), n=3) == 3
    assert pulled == [0, 1, 2]  # no batch is decoded without use
    moved = {key for key, tensor in network.state_dict().items() if not torch.equal(tensor, before[key])}
    assert moved == {key for key in before if key.endswith(("running_mean", "running_var"))}
    assert flags == [module.training for module in network.modules()]
    assert all(m.track_running_stats for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_no_statistics_to_take():
    network = lived_in(ToyNet(2, strides=(2, 2, 2)))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(ValueError, match="no batch to take statistics from"):
        precise_bn(network, [])
    with pytest.raises(RuntimeError):
        precise_bn(network, [torch.randn(2, 3, 16, 16), torch.randn(2, 4, 16, 16)])
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert all(m.track_running_stats for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    with pytest.raises(ValueError, match="this Linear has no batch norm"):
        precise_bn(nn.Linear(2, 2), [torch.zeros(1, 2)])


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("affine", [True, False])
def test_a_frozen_norm_is_the_norm_of_eval_mode(rank, affine):
    norm = RANKS[rank](4, affine=affine, eps=1e-3).double()
    nn.init.uniform_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    if affine:
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.bias)
    x = torch.randn(2, 4, *(3, 4, 5)[:rank]).double()
    torch.testing.assert_close(Affine.folded(norm).train()(x), norm.eval()(x), rtol=1e-14, atol=1e-14)


def test_a_frozen_network():
    network = lived_in(ToyNet(2, strides=(2, 2, 2)).double()).eval()
    image = torch.randn(2, 3, 16, 16).double()
    before = network(image)
    assert freeze_norms(network) == ["stage1.1", "stage2.1", "stage3.1"]
    torch.testing.assert_close(network(image), before, rtol=1e-12, atol=1e-12)
    network.train()
    torch.testing.assert_close(network(image), before, rtol=1e-12, atol=1e-12)
    assert not any(".1." in name for name, _ in network.named_parameters(prefix="") if name.startswith("stage"))
    assert {"stage1.1.weight", "stage1.1.bias"} <= network.state_dict().keys()
    assert "stage1.1.running_mean" not in network.state_dict()


def test_freezing_loses_no_block():
    network = ToyNet(2, strides=(1, 2, 2)).eval()
    image = torch.randn(1, 3, 16, 16)
    wf.insert(network, wf.NonLocal, "stage3.1", image)
    lived_in(network)
    before = network(image)
    assert {"stage3.1", "stage3.1.wholeframe.norm"} <= set(freeze_norms(network))
    torch.testing.assert_close(network(image), before, rtol=1e-4, atol=1e-5)
    assert wf.verify(network, image).runs == (1,)
    assert wf.remove(network) == ["stage3.1"]
    assert isinstance(network.stage3[1], Affine)


def test_a_shared_norm_is_frozen_in_all_its_places():
    norm = lived_in(nn.Sequential(nn.BatchNorm2d(3)))[0]
    network = nn.Sequential(norm, nn.Conv2d(3, 3, 1), norm).eval()
    image = torch.randn(1, 3, 4, 4)
    before = network(image)
    assert freeze_norms(network) == ["0", "2"]
    assert network[0] is network[2]
    torch.testing.assert_close(network(image), before, rtol=1e-5, atol=1e-6)


def test_models_whose_norms_cannot_be_replaced():
    with pytest.raises(ValueError, match="the model is a BatchNorm2d itself"):
        freeze_norms(nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match="wrapped in DataParallel"):
        freeze_norms(nn.DataParallel(nn.Sequential(nn.BatchNorm2d(2))))
    hooked = nn.Sequential(nn.SyncBatchNorm(2))
    hooked[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="the SyncBatchNorm '0' has a hook"):
        freeze_norms(hooked)


def test_the_norm_of_a_block_freezes_with_the_rest():
    network = ToyNet(2, strides=(1, 2, 2)).eval()
    image = torch.randn(1, 3, 16, 16)
    wf.insert(network, wf.NonLocal, "stage3.2", image)
    lived_in(network)
    before = network(image)
    assert "stage3.2.wholeframe.norm" in freeze_norms(network)
    torch.testing.assert_close(network(image), before, rtol=1e-4, atol=1e-5)
    wf.reset_blocks(network)
    x = torch.randn(1, 48, 4, 4)
    assert torch.equal(network.stage3[2].wholeframe(x), x)


def test_nothing_to_freeze():
    with pytest.raises(ValueError, match="this Linear has no batch norm"):
        freeze_norms(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="without running statistics"):
        freeze_norms(nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)))
