"""Which modules are sites: containers are not, and what an error names as possible is."""

import re

import pytest
import torch
import torchvision
from surgery_hosts import Pyramid
from surgery_models import IMAGE, Chain, Net
from torch import nn

import wholeframe as wf
from wholeframe.surgery.insert import insert
from wholeframe.surgery.maps import containers
from wholeframe.surgery.probe import as_call
from wholeframe.surgery.sites import sites


def test_modules_that_run_whatever_children_they_have_are_not_sites():
    model = nn.Sequential(Chain(nn.Conv2d(3, 4, 1), Chain(nn.ReLU(), nn.Conv2d(4, 4, 1))))
    assert containers(model, [*model.modules()][1:], as_call(model, IMAGE)) == {model[0], model[0].step1}
    assert [site.name for site in sites(model, IMAGE)] == ["0.step0", "0.step1.step0", "0.step1.step1"]


def test_a_dense_block_is_not_a_site_and_every_listed_site_takes_a_block():
    model = torchvision.models.densenet.DenseNet(4, (2, 2), 8, num_classes=3).eval()
    names = [site.name for site in sites(model, IMAGE.float())]
    assert "features.denseblock1" not in names and "features.denseblock1.denselayer1" in names
    assert insert(model, wf.SimplifiedNonLocal, at=names, example=IMAGE).unchanged


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("at", ["unused", "layer1.0.relu", "fc", "empty"])
def test_what_an_error_names_as_possible_is(at: str):
    with pytest.raises(ValueError, match="no block was inserted") as error:
        insert(Net(), wf.SimplifiedNonLocal, at=at, example=IMAGE)
    near = re.search(r"near it (.*) would do", str(error.value))
    assert near is not None
    named = re.findall(r"'([\w.]+)'", near[1])
    assert named and insert(Net().eval(), wf.SimplifiedNonLocal, at=named, example=IMAGE).unchanged


def test_the_search_for_containers_leaves_no_trace():
    model = Pyramid()
    before = [name for name, _ in model.named_modules()]
    assert not containers(model, [*model.children()], as_call(model, IMAGE))
    assert [name for name, _ in model.named_modules()] == before
    assert all(not module._forward_hooks for module in model.modules())
    assert torch.equal(model(IMAGE), model(IMAGE))
