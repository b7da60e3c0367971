"""Compiled code of a network is not run by the same network with other blocks."""

import copy
import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

import wholeframe as wf

X = torch.linspace(-1, 1, 2 * 8 * 36).view(2, 8, 6, 6)


def layers() -> list[nn.Module]:
    return [nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU()]


class Attributes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = layers()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm(self.conv(x)))


class List(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Dict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(dict(zip("abc", layers(), strict=True)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.layers:
            x = self.layers[name](x)
        return x


class Children(Attributes):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Checkpointed(Attributes):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.conv, self.norm, self.relu):
            x = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
        return x


class InTwoGraphs(Attributes):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        torch._dynamo.graph_break()
        return self.relu(self.norm(x))


class Sequence(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(*layers()), nn.Identity())


class Listed(Attributes):
    """Its forward goes past the dict of its children, and through that of its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [self.conv, self.norm, self.relu]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x


HOSTS = [Attributes, List, Dict, Children, Checkpointed, InTwoGraphs, Sequence]


def with_block(network: nn.Module, site: str) -> nn.Module:
    network = copy.deepcopy(network)
    wf.insert(network, wf.SqueezeExcite, site, example=X)
    return network


def networks(host: Callable[[], nn.Module]) -> dict[str, nn.Module]:
    """The network, and for every layer the network with a block after it."""
    torch.manual_seed(0)
    plain = host().eval()
    leaves = [name for name, module in plain.named_modules() if name and not list(module.children())]
    return {"plain": plain, **{site: with_block(plain, site) for site in leaves}}


def assert_each_runs_its_own(all_of_them: dict[str, nn.Module], order: list[str]) -> None:
    torch._dynamo.reset()
    with torch.no_grad():
        for name in (*order, *order):
            network = all_of_them[name]
            torch.testing.assert_close(torch.compile(network, backend="eager")(X), network(X), msg=name)


@pytest.mark.compiled
@pytest.mark.parametrize("host", HOSTS)
def test_blocks_are_not_lost_after_the_network_without_them_was_compiled(host):
    """Nor do they come into it, nor to other sites, in whichever order they run."""
    found = networks(host)
    with torch.no_grad():
        for one, other in itertools.combinations(found.values(), 2):
            assert not torch.allclose(one(X), other(X))
    assert_each_runs_its_own(found, [*found])
    assert_each_runs_its_own(found, [*found][::-1])


@pytest.mark.compiled
def test_a_site_by_itself_and_in_a_plain_list_says_that_it_has_a_block():
    plain = Listed().eval()
    ours = with_block(plain, "norm")
    assert_each_runs_its_own({"plain": plain, "ours": ours}, ["plain", "ours"])
    torch._dynamo.reset()
    called = torch.compile(lambda module, x: module(x), backend="eager")
    with torch.no_grad():
        for site in (plain.norm, ours.norm, plain.norm):
            torch.testing.assert_close(called(site, X), site(X))


@pytest.mark.compiled
def test_what_is_made_of_a_network_with_blocks_says_so_too():
    torch.manual_seed(0)
    plain = nn.Sequential(Attributes(), nn.ReLU()).eval()
    ours = with_block(plain, "0.conv")
    restored = copy.deepcopy(plain)
    wf.restore(restored, ours.state_dict())
    removed = copy.deepcopy(ours)
    wf.remove(removed)
    made = {
        "copy": copy.deepcopy(ours),
        "pickle": pickle.loads(pickle.dumps(ours)),
        "restored": restored.eval(),
        "removed": removed,
        "baked": wf.bake(ours),
        "fused": wf.fuse(ours, X),
        "fused without": wf.fuse(plain, X),
        "frozen": with_block(plain, "0.norm"),
    }
    wf.freeze_norms(made["frozen"])
    assert_each_runs_its_own({"plain": plain, **made}, ["plain", *made])
    assert type(removed[0]._modules) is dict and list(removed[0]._modules) == ["conv", "norm", "relu"]


def test_a_block_that_is_refused_leaves_no_trace():
    network = Attributes()
    with pytest.raises(ValueError, match="The model is unchanged"):
        wf.insert(network, lambda channels: nn.Conv2d(channels, 3, 1), "conv", example=X)
    assert type(network._modules) is dict
