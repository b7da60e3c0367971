"""Multiply-adds by hand, of layers that torch runs in many ways."""

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import wholeframe as wf
from wholeframe.models.products import products
from wholeframe.surgery.probe import as_call

B, T, N, H = 2, 5, 8, 16  # samples, steps, inputs and state of the recurrent layers; H is the width of attention


class Function(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, *args):
        return self.run(*args)


def sequence(width):
    return (torch.randn(B, T, width),)


def matrix(*shape):
    return torch.randn(*shape)


PROJECTIONS = B * T * 4 * H * H  # q, k, v and the output
PAIRS = B * 2 * T * T * H

# What it is: the layer, its arguments, multiply-adds, and whether torch's counter sees them.
LAYERS = {
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), (matrix(B, 4, 5, 5),), B * 9 * 6 * 2 * 9, True),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (matrix(B, 4, 5, 5),), B * 9 * 4 * 9, True),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), (matrix(B, 4, 5, 5),), B * 25 * 4 * 3 * 9, True),
    "1-D": (nn.Conv1d(4, 6, 3), (matrix(B, 4, 7),), B * 5 * 6 * 4 * 3, True),
    "linear": (nn.Linear(8, 3), (matrix(8),), 8 * 3, True),
    "attention": (nn.MultiheadAttention(H, 2, batch_first=True), sequence(H) * 3, PROJECTIONS + PAIRS, True),
    "encoder": (
        nn.TransformerEncoderLayer(H, 2, 32, batch_first=True),
        sequence(H),
        PROJECTIONS + PAIRS + B * T * 2 * H * 32,
        True,
    ),
    "rnn": (nn.RNN(N, H, batch_first=True), sequence(N), B * T * H * (N + H), True),
    "gru": (nn.GRU(N, H, batch_first=True), sequence(N), B * T * 3 * H * (N + H), True),
    "lstm": (nn.LSTM(N, H, batch_first=True), sequence(N), B * T * 4 * H * (N + H), False),
    "lstm, both ways": (
        nn.LSTM(N, H, 2, batch_first=True, bidirectional=True),
        sequence(N),
        2 * B * T * 4 * H * (N + H + 2 * H + H),
        False,
    ),
    "lstm cell": (nn.LSTMCell(N, H), (matrix(B, N),), B * 4 * H * (N + H), True),
    "bilinear": (nn.Bilinear(4, 5, 6), (matrix(B, 4), matrix(B, 5)), B * (6 * 4 * 5 + 6 * 5), False),
    "deformable": (
        torchvision.ops.DeformConv2d(4, 6, 3, padding=1),
        (matrix(B, 4, 5, 5), matrix(B, 18, 5, 5)),
        B * 25 * 6 * 4 * 9,
        False,
    ),
    "matrix and vector": (Function(torch.mv), (matrix(4, 7), matrix(7)), 4 * 7, False),
    "plus matrix and vector": (Function(torch.addmv), (matrix(4), matrix(4, 7), matrix(7)), 4 * 7, False),
    "two vectors": (Function(torch.dot), (matrix(7), matrix(7)), 7, False),
    "sum of products": (Function(torch.addbmm), (matrix(4, 6), matrix(3, 4, 5), matrix(3, 5, 6)), 3 * 4 * 5 * 6, False),
    "einsum": (Function(lambda x, y: torch.einsum("bij,bkj->bik", x, y)), sequence(8) * 2, B * T * T * 8, True),
    "integers": (
        Function(torch._int_mm),
        (torch.ones(4, 8, dtype=torch.int8), torch.ones(8, 16, dtype=torch.int8)),
        4 * 8 * 16,
        False,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_by_hand(name):
    layer, args, macs, seen = LAYERS[name]
    found = products(layer, as_call(layer, args))
    assert found.ours.total() == macs
    assert found.torchs.total() == (macs if seen else 0)
    assert not found.unknown


def test_each_module_has_its_own_and_the_rest_belongs_to_its_caller():
    class Rest(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.weight = nn.Parameter(torch.ones(2, 4))

        def forward(self, x):
            return nn.functional.linear(self.conv(self.conv(x)[:, :3]).mean((2, 3)), self.weight)

    network = nn.Sequential(Rest())
    found = products(network, as_call(network, torch.zeros(1, 3, 5, 5)))
    assert +found.ours == {"0.conv": 2 * 25 * 12, "0": 8}


@pytest.mark.parametrize("name", ["nl", "nl_dot", "gc", "cgnl_taylor"])
def test_the_column_of_torch_is_its_counter(name):
    """A block counts as its definition, whichever way it takes."""
    network = nn.Sequential(nn.Conv2d(3, 64, 1), wf.BLOCKS[name].make(64)).eval()
    x = torch.zeros(2, 3, 12, 12)
    found = products(network, as_call(network, x))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x)
    assert found.torchs.total() == counter.get_total_flops() // 2
    assert found.ours["1"] == 2 * network[1].multiply_adds((12, 12))
    assert found.ours["0"] == found.torchs["0"] == 2 * 144 * 3 * 64


def test_the_setting_of_torch_comes_back():
    layer, args, _, _ = LAYERS["encoder"]
    assert torch.backends.mha.get_fastpath_enabled()
    products(layer, as_call(layer, args))
    assert torch.backends.mha.get_fastpath_enabled()


def test_operations_of_other_packages_are_named():
    @torch.library.custom_op("wholeframe_tests::product", mutates_args=())
    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    product.register_fake(torch.empty_like)
    layer = Function(lambda x: product(x))
    assert products(layer, as_call(layer, torch.ones(3, 3))).unknown == {"wholeframe_tests.product"}
    (note,) = wf.cost(layer, torch.ones(3, 3)).notes
    assert "wholeframe_tests.product" in note and "not counted" in note
    pool = Function(lambda x: torchvision.ops.roi_align(x, [torch.tensor([[0.0, 0, 2, 2]])], 2))
    assert not products(pool, as_call(pool, torch.ones(1, 1, 4, 4))).unknown
