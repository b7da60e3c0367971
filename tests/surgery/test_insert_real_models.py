"""Models of torchvision and timm with blocks: equal output, old keys, pickle, deepcopy, export, fx, compile."""

import copy
import pickle
from functools import partial
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision
from surgery_models import (
    IMAGE,
    Net,
    Plus,
    Same,
    give,
)
from torch import nn
from torch.utils.hooks import RemovableHandle

from wholeframe.surgery.insert import insert, remove
from wholeframe.surgery.placement import has_block

MODELS = {  # no blocks with 2048 channels, whose weights would take most of the time
    "torchvision resnet18": (
        partial(torchvision.models.resnet18, weights=None),
        ["layer2.1", "layer3", "layer4.*.bn2"],
    ),
    "torchvision resnet50": (
        partial(torchvision.models.resnet50, weights=None),
        ["layer1.0", "layer2", "layer2.[13].bn3"],
    ),
    "timm resnet50": (partial(timm.create_model, "resnet50"), ["layer1.0", "layer2", "layer2.[13].bn3"]),
    "timm convnext_atto": (partial(timm.create_model, "convnext_atto"), ["stem.1", "stages.3", "stages.2.blocks.*"]),
}

PHOTO = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module", params=MODELS)
def inserted(request) -> SimpleNamespace:
    """A model with blocks, in eval mode, with its state, output and flags of before."""
    build, at = MODELS[request.param]
    torch.manual_seed(0)
    model = build().eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    output = give(model, PHOTO)
    model.train()
    model.get_submodule(at[0]).eval()
    flags = {name: module.training for name, module in model.named_modules()}
    report = insert(model, Same, at=at, example=PHOTO)
    kept = {name: model.get_submodule(name).training for name in flags} == flags
    return SimpleNamespace(model=model.eval(), state=state, output=output, report=report, flags_kept=kept)


def assert_repeats(model, inserted: SimpleNamespace) -> None:
    with torch.no_grad():
        assert torch.equal(model(PHOTO), inserted.output)


@pytest.mark.slow_beyond(2)
def test_output_is_bit_equal_at_initialisation(inserted: SimpleNamespace):
    assert inserted.report.unchanged and len(inserted.report.rows) >= 4
    assert_repeats(inserted.model, inserted)


def test_keeps_keys_statistics_and_flags(inserted: SimpleNamespace):
    new = inserted.model.state_dict()
    assert [key for key in new if ".wholeframe." not in key] == list(inserted.state)
    assert all(torch.equal(new[key], value) for key, value in inserted.state.items())
    assert inserted.flags_kept


def test_takes_pretrained_weights(inserted: SimpleNamespace):
    result = copy.deepcopy(inserted.model).load_state_dict(inserted.state, strict=False)
    assert sorted(result.missing_keys) == sorted(inserted.report.parameter_names)
    assert not result.unexpected_keys


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_can_be_copied(inserted: SimpleNamespace, clone):
    twin = clone(inserted.model)
    assert_repeats(twin, inserted)
    first = twin.get_submodule(inserted.report.rows[0].site)
    with torch.no_grad():
        first.wholeframe.out.weight.fill_(0.1)
    assert not torch.equal(give(twin, PHOTO), inserted.output)  # the twin's own block runs
    assert_repeats(inserted.model, inserted)
    assert remove(twin) == [row.site for row in inserted.report.rows]
    assert list(twin.state_dict()) == list(inserted.state)
    assert not any(module._forward_hooks for module in twin.modules())
    assert all(has_block(inserted.model.get_submodule(row.site)) for row in inserted.report.rows)


@pytest.mark.slow_beyond(1)
def test_can_be_exported(inserted: SimpleNamespace):
    exported = torch.export.export(inserted.model, (PHOTO,))
    assert set(inserted.report.parameter_names) <= set(exported.state_dict)
    assert_repeats(exported.module(), inserted)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", ["torchvision resnet18", "timm convnext_atto"])
def test_compiles_in_one_graph(name: str):
    build, at = MODELS[name]
    torch.manual_seed(0)
    model = build().eval()
    output = give(model, PHOTO)
    insert(model, Same, at=at, example=PHOTO)
    torch.compiler.reset()
    with torch.no_grad():
        assert torch.equal(torch.compile(model, fullgraph=True, backend="aot_eager")(PHOTO), output)


def test_fx_traces_through_blocks(net: Net):
    insert(net.eval(), Same, at=["layer1.0", "layer2.*.bn2"], example=IMAGE)
    nn.init.normal_(net.layer1[0].wholeframe.out.weight)
    traced = torch.fx.symbolic_trace(net)
    assert torch.equal(traced(IMAGE), net(IMAGE))


def test_an_unpickled_hook_is_not_replaced_by_the_next_one(net: Net, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RemovableHandle, "next_id", 0)
    insert(net, Plus, at="layer1.0", example=IMAGE)
    output, stored = give(net, IMAGE), pickle.dumps(net)
    del net
    monkeypatch.setattr(RemovableHandle, "next_id", 0)  # a new process counts hooks from 0
    loaded = pickle.loads(stored)
    for _ in range(200):
        loaded.layer1[0].register_forward_hook(lambda *_: None).remove()
    assert has_block(loaded.layer1[0])
    assert torch.equal(give(loaded, IMAGE), output)
    assert remove(loaded) == ["layer1.0"]
