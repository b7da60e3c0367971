"""Parameters, multiply-adds and time of whole networks."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

import wholeframe as wf
from wholeframe.models.build import ModelConfig, build
from wholeframe.models.cost import cost, count, inference_ms, sizes


@pytest.fixture
def network():
    """A strided convolution, a frozen norm, a linear layer: 8 x 8 to 4 x 4."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5)
    ).train()
    network[1].eval()
    return network


def test_by_hand(network):
    found = cost(network, torch.zeros(1, 3, 8, 8))
    assert found.params == 4 * 3 * 9 + 2 * 4 + (64 * 5 + 5)
    assert found.macs == 4 * 3 * 9 * 16 + 64 * 5


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize("name", ["nl", "nl_gaussian", "nl_dot", "gc", "cgnl_taylor", "gsop_position"])
def test_a_block_adds_its_definition(name):
    """However it runs: the law of multiply-adds compares definitions with counters."""
    example = torch.zeros(2, 3, 32, 32)
    bare, full = (build(ModelConfig(backbone="small_dense", block=block), 2, example) for block in (None, name))
    block = full.stage3[-1].wholeframe
    assert cost(full, example).macs - cost(bare, example).macs == 2 * block.multiply_adds((16, 16))


def test_a_block_inside_a_block_counts_once():
    fused = wf.GSoP(64, position=partial(wf.GSoPPosition, size=(4, 4)))
    assert cost(fused, torch.randn(1, 64, 8, 8)).macs == fused.multiply_adds((8, 8))


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["gaussian", "embedded_gaussian", "dot"])
def test_the_count_does_not_depend_on_dtype(kind, dtype):
    network = wf.NonLocal(16, kind=kind).to(dtype)
    assert cost(network, torch.randn(1, 16, 12, 12, dtype=dtype)).macs == network.multiply_adds((12, 12))


@pytest.mark.parametrize("measure", [cost, inference_ms])
def test_nothing_in_the_network_changes(network, measure):
    network[3].eval()
    flags = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    measure(network, torch.randn(2, 3, 8, 8))
    assert [module.training for module in network.modules()] == flags == [True, True, False, True, False]
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_time_is_a_median(network, monkeypatch):
    assert inference_ms(network, torch.zeros(1, 3, 8, 8), repeats=3) > 0
    # Three slow passes to warm up, which are not counted; then 1, 100 and 2 ms.
    clock = iter([t for length in (9.0, 9.0, 9.0, 0.001, 0.1, 0.002) for t in (0.0, length)])
    monkeypatch.setattr("wholeframe.models.measure.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert inference_ms(network, torch.zeros(1, 3, 8, 8), repeats=3) == pytest.approx(2)


@pytest.mark.slow
def test_counting_without_values_is_counting():
    example = torch.zeros(1, 3, 32, 32)
    for block in ("nl", "gc", "cgnl", "gsop_channel"):
        model = ModelConfig(backbone="small_dense", block=block)
        assert count(lambda model=model: build(model, 2, torch.zeros(1, 3, 32, 32)), (3, 32, 32)) == cost(
            build(model, 2, example), example
        )


def quantities(row):
    return row.params, row.macs, row.torch_macs, row.kept, row.peak


def test_rows_by_hand(network):
    """Two samples: the norm keeps its input and 8 statistics, the linear layer its input; see `test_activations`."""
    rows = {row.name: row for row in cost(network, torch.zeros(2, 3, 8, 8)).rows}
    assert list(rows) == ["", "0", "1", "2", "3"]
    assert [rows[name].kind for name in ("", "0", "3")] == ["Sequential", "Conv2d", "Linear"]
    assert quantities(rows["0"]) == (108, 2 * 108 * 16, 2 * 108 * 16, 0, 512)
    assert quantities(rows["1"]) == (8, 0, 0, 512 + 32, 1024)
    assert quantities(rows["3"]) == (325, 2 * 320, 2 * 320, 512, 552)
    assert not any(row.params or row.macs or row.kept for row in (rows[""], rows["2"]))


class Shared(nn.Module):
    """Runs one layer twice, under two names; has a parameter and a product of its own."""

    def __init__(self):
        super().__init__()
        self.first = self.second = nn.Conv2d(3, 3, 1, bias=False)
        self.body = nn.Sequential(nn.Conv2d(3, 64, 1), nn.Sequential(wf.NonLocal(64, kind="dot")), nn.ReLU())
        self.weight = nn.Parameter(torch.ones(2, 64))

    def forward(self, x):
        return nn.functional.linear(self.body(self.second(self.first(x))).mean((2, 3)), self.weight)


def test_shared_parameters_count_once_and_modules_that_run_twice_count_twice():
    found = cost(Shared(), torch.zeros(1, 3, 12, 12))
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["", "first", "body", "body.0", "body.1", "body.1.0", "body.2"]
    assert (rows["first"].params, rows["first"].macs) == (9, 2 * 9 * 144)
    assert (rows[""].params, rows[""].macs) == (128, 128)
    block = Shared().body[1][0]
    assert rows["body.1.0"].block and [row.name for row in found.blocks] == ["body.1.0"]
    assert rows["body.1.0"].params == sum(parameter.numel() for parameter in block.parameters())
    assert rows["body.1.0"].macs == block.multiply_adds((12, 12))


@pytest.mark.parametrize(("depth", "names"), [(1, ["", "first", "body", "body.1.0"]), (2, None), (9, None)])
def test_rows_add_up_to_the_total_at_every_depth(depth, names):
    network = Shared()
    found = cost(network, torch.zeros(2, 3, 12, 12))
    rows = found.at(depth)
    assert names is None or [row.name for row in rows] == names
    sums = [sum(column) for column in list(zip(*map(quantities, rows), strict=True))[:4]]
    assert sums == list(quantities(found.total)[:4])
    assert max(row.peak for row in rows) == found.total.peak
    assert sums[:2] == [found.params, found.macs] == [sum(p.numel() for p in network.parameters()), found.macs]
    assert found.macs == sizes(network, torch.zeros(2, 3, 12, 12)).macs


def test_a_module_is_named_by_its_own_class_at_every_depth():
    kinds = {row.name: row.kind for row in cost(Shared(), torch.zeros(1, 3, 12, 12)).at(1)}
    assert kinds == {"": "Shared", "first": "Conv2d", "body": "Sequential", "body.1.0": "NonLocal"}


class ReadsValues(Shared):
    def forward(self, x):
        assert x.sum().item() < 1e9
        return super().forward(x)


def test_a_network_that_needs_values_has_the_same_rows():
    rows = [cost(kind(), torch.zeros(1, 3, 12, 12)).rows for kind in (Shared, ReadsValues)]
    assert list(map(quantities, rows[0]))[1:] == list(map(quantities, rows[1]))[1:]
    assert quantities(rows[0][0])[:4] == quantities(rows[1][0])[:4]


def test_rows_without_values():
    with FakeTensorMode():
        found = cost(Shared(), torch.empty(1, 3, 12, 12))
    assert found.rows == cost(Shared(), torch.zeros(1, 3, 12, 12)).rows


def test_what_does_not_train_is_said():
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4))
    found = cost(network, torch.zeros(1, 3, 8, 8))
    assert found.total.kept is None and found.macs == 4 * 3 * 64
    (note,) = found.notes
    assert "Expected more than 1 value per channel" in note and "a larger batch" in note
    assert cost(network, torch.zeros(2, 3, 8, 8)).notes == ()


def test_a_batch_norm_stays_as_it_was(network):
    before = network[1].num_batches_tracked.item()
    cost(network, torch.randn(2, 3, 8, 8))
    assert network[1].num_batches_tracked.item() == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("compiled", ["around", "in place"])
def test_compiled_networks_are_counted_as_written(network, compiled):
    expected = list(map(quantities, cost(network, torch.zeros(2, 3, 8, 8)).rows))
    if compiled == "around":
        rows = cost(torch.compile(network), torch.zeros(2, 3, 8, 8)).rows
        assert rows[0].kind == "OptimizedModule"
        rows = rows[1:]
    else:
        network.compile()
        rows = cost(network, torch.zeros(2, 3, 8, 8)).rows
    assert list(map(quantities, rows)) == expected


def test_recomputed_layers_keep_their_input_alone():
    class Recomputed(nn.Sequential):
        def forward(self, x):
            return checkpoint(super().forward, self[0](x), use_reentrant=False)

    layers = nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Tanh()
    x = torch.zeros(1, 4, 16, 16)
    assert cost(Recomputed(*layers), x).total.kept == 4 * 16 * 16 * 4
    assert cost(nn.Sequential(*layers), x).total.kept == 2 * 4 * 16 * 16 * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "vit_b_32",
        "swin_t",
        "swin_v2_t",
        "convnext_tiny",
        "mobilenet_v3_small",
        "shufflenet_v2_x1_0",
        "maxvit_t",
    ],
)
def test_the_counts_that_torchvision_publishes(name):
    """Its own files say G multiply-adds to three decimals and parameters, of the default weights."""
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    side = weights.transforms.keywords["crop_size"]
    found = sizes(torchvision.models.get_model(name), torch.zeros(1, 3, side, side))
    assert found.params == weights.meta["num_params"]
    assert round(found.macs / 1e9, 3) == weights.meta["_ops"]


def test_tied_weights_belong_to_the_first_module_that_has_them():
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    found = cost(network, torch.zeros(1, 4))
    assert [row.params for row in found.rows] == [0, 16, 4] and found.params == found.total.params == 20
