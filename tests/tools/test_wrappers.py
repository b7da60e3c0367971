"""Programs that run a network again, with other weights, or as an average of several: each runs the blocks."""

import copy
import json
from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import wholeframe as wf

SITES = ["layer3.1", "layer4.1.bn2"]


def network():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=3)
    wf.insert(model, partial(wf.NonLocal, init="random"), at=SITES, example=torch.randn(1, 3, 64, 64))
    return model


@pytest.fixture
def x():
    return torch.randn(2, 3, 64, 64)


RUNS = {
    "plain": lambda stage, y: stage(y),
    "again": lambda stage, y: checkpoint(stage, y, use_reentrant=False),
    "reentrant": lambda stage, y: checkpoint(stage, y, use_reentrant=True),
    "sequential": lambda stage, y: checkpoint_sequential(stage, 2, y, use_reentrant=False),
}


def test_activation_checkpoints_give_the_same_gradients(x):
    found = {}
    for name, run in RUNS.items():
        model = network().double()
        y = model.maxpool(model.relu(model.bn1(model.conv1(x.double()))))
        model.layer4(run(model.layer3, model.layer2(model.layer1(y)))).square().mean().backward()
        found[name] = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    for name in RUNS:
        assert found[name].keys() == found["plain"].keys()
        for key, gradient in found["plain"].items():
            torch.testing.assert_close(found[name][key], gradient, msg=lambda text, key=key: f"{key}: {text}")


def test_other_weights_by_functional_call(x):
    model = network().eval()
    halves = {name: parameter.detach() / 2 for name, parameter in model.named_parameters()}
    other = copy.deepcopy(model)
    other.load_state_dict(model.state_dict() | halves)
    assert torch.equal(functional_call(model, halves, (x,)), other(x))


@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented the batching rule")
def test_an_ensemble_by_vmap(x):
    models = [network().double().eval() for _ in range(2)]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1.1)
    parameters, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0]).to("meta")
    found = vmap(lambda p, b: functional_call(base, (p, b), (x.double(),)))(parameters, buffers)
    for y, model in zip(found, models, strict=True):
        torch.testing.assert_close(y, model(x.double()))


AVERAGES = {
    "torch": lambda model: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True),
    "timm": lambda model: timm.utils.ModelEmaV3(model, decay=0.5),
}


@pytest.mark.parametrize("average", AVERAGES.values(), ids=AVERAGES)
def test_an_average_of_weights_has_the_blocks_and_restores(average, x):
    model = network().eval()
    averaged = average(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.9)
    for _ in range(2):
        (averaged.update_parameters if hasattr(averaged, "update_parameters") else averaged.update)(model)
    assert wf.verify(averaged.module, x).runs == (1, 1)
    fresh = torchvision.models.resnet18(num_classes=3)
    wf.restore(fresh, averaged.state_dict(), prefix="module.")
    assert torch.equal(fresh.eval()(x), averaged.module.eval()(x))


def test_accelerate_trains_saves_and_offloads(x, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    model, accelerator = network(), accelerate.Accelerator(cpu=True)
    prepared, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    before = {name: parameter.clone() for name, parameter in model.named_parameters() if "wholeframe" in name}
    accelerator.backward(prepared(x).square().sum())
    optimizer.step()
    still = [name for name, parameter in model.named_parameters() if name in before and parameter.equal(before[name])]
    assert not still
    accelerator.save_model(prepared, tmp_path)
    data = json.dumps([block.as_data() for block in wf.blocks_of(prepared)])
    fresh = torchvision.models.resnet18(num_classes=3)
    wf.restore(fresh, tmp_path / "model.safetensors", blocks=data)
    assert torch.equal(fresh.eval()(x), model.eval()(x))
    offloaded = accelerate.cpu_offload(copy.deepcopy(model), torch.device("cpu"))
    assert wf.verify(offloaded, x).runs == (1, 1)
    torch.testing.assert_close(offloaded(x), model(x))


@pytest.mark.parametrize("frozen", [False, True])
def test_channels_last_trains_and_evaluates(x, frozen):
    """A bottleneck adds in place to what the block at its last norm returns."""
    model = network().double()
    if frozen:
        wf.freeze_norms(model)
    for _ in range(2):
        found = []
        for form in (torch.contiguous_format, torch.channels_last):
            stored = copy.deepcopy(model).to(memory_format=form)
            stored(x.double().contiguous(memory_format=form)).square().sum().backward()
            found.append({name: p.grad for name, p in stored.named_parameters()})
        for name, gradient in found[0].items():
            torch.testing.assert_close(found[1][name], gradient, msg=lambda text, name=name: f"{name}: {text}")
        model.eval()


def test_pruned_layers_of_the_host_and_of_blocks_train(x):
    from torch.nn.utils import prune

    model = network()
    layers = [(module, "weight") for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=0.3)
    for _ in range(2):
        model(x).square().sum().backward()
    assert wf.verify(model, x).runs == (1, 1)
    assert all(p.grad is not None for name, p in model.named_parameters() if "wholeframe" in name)
