"""What every block shows of itself."""

import pytest
import torch

from wholeframe import ops
from wholeframe.blocks import BAT, BLOCKS, CBAM, CGNL, GatherExcite, GlobalContext, GSoP, NonLocal, SqueezeExcite
from wholeframe.blocks.looks import looks_of, of_magnitude_one

C, GRID = 16, (6, 4)
SMALL = {name: {"inner": 8} for name in ("gsop_channel", "gsop_position")}
MAKERS = {name: lambda name=name: BLOCKS[name].make(C, **SMALL.get(name, {})) for name in BLOCKS} | {
    "cbam": lambda: CBAM(C),
    "bat": lambda: BAT(C, size=2, groups=2),
    "gather_excite": lambda: GatherExcite(C, extent=2),
    "gsop": lambda: GSoP(C),
    "gc_multiply": lambda: GlobalContext(C, fusion="multiply_add"),
    "gc_mean": lambda: GlobalContext(C, context="mean"),
}
KINDS = {
    **{name: ["pairwise"] for name in BLOCKS if name.startswith(("nl", "cgnl"))},
    "snl": ["shared"],
    "gc": ["shared"],
    "se": ["channel"],
    "ese": ["channel"],
    "eca": ["channel"],
    "gsop_channel": ["channel"],
    "gsop_position": ["position"],
    "gather_excite": ["position"],
    "cbam": ["channel", "position"],
    "gsop": ["channel", "position"],
    "bat": ["pairwise"],
    "gc_multiply": ["shared", "channel"],
    "gc_mean": [],
}


def block_and_map(name):
    torch.manual_seed(0)
    block = MAKERS[name]().double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block, torch.randn(2, C, *GRID, dtype=torch.float64)


@pytest.mark.parametrize("name", MAKERS)
def test_every_block_shows_maps_of_its_kinds(name):
    block, x = block_and_map(name)
    with torch.no_grad():
        looks = looks_of(block, x, [0, 5, 23])
    assert [look.kind for look in looks] == KINDS[name]
    for look in looks:
        shape = {"pairwise": (2, 3, *GRID), "channel": (2, C)}.get(look.kind, (2, *GRID))
        assert look.weights.shape == shape and look.weights.isfinite().all()
        if look.rule is None:
            assert look.weights.min() >= 0
            assert torch.allclose(look.weights.flatten(-2).sum(dim=-1), torch.ones((), dtype=torch.float64))
        elif look.kind == "pairwise":
            totals = look.weights.abs().flatten(-2).sum(dim=-1)
            assert totals.any() and torch.allclose(totals, (totals > 0).double())  # ReLUs of a query may all be zero.


@pytest.mark.parametrize("name", ["se", "ese", "eca", "gsop_channel", "cbam", "gsop_position", "gather_excite"])
def test_gates_are_the_factors_of_the_forward_pass(name):
    """A block that multiplies by its gates alone: their product with x is the output."""
    block, x = block_and_map(name)
    with torch.no_grad():
        looks, z = looks_of(block, x, [0]), block(x)
    product = x
    for look in looks:
        factor = look.weights[..., None, None] if look.kind == "channel" else look.weights[:, None]
        product = product * factor
    if name == "gsop_position":
        product = product.relu()
    if name == "gather_excite":  # A factor per channel, of which the mean is shown.
        assert torch.allclose(looks[0].weights, (z / x).mean(dim=1))
    else:
        assert torch.allclose(product, z)


def test_gates_come_with_the_covariance_that_they_are_computed_from():
    for name, size in (("gsop_channel", 8), ("gsop_position", 64)):
        block, x = block_and_map(name)
        with torch.no_grad():
            (look,) = block.looks(x, [0])
        assert look.covariance.shape == (2, size, size)
        assert torch.allclose(look.covariance, look.covariance.transpose(1, 2))
    block, x = block_and_map("gsop_channel")
    with torch.no_grad():
        v = block.context.reduce(ops.to_positions(x.relu()))  # (b, d, n)
        expected = torch.stack([torch.cov(each, correction=0) for each in v])
        assert torch.allclose(block.looks(x, [0])[0].covariance, expected)


@pytest.mark.parametrize("kind", ["dot", "concatenation"])
def test_weights_that_are_no_distribution_keep_their_proportions(kind):
    torch.manual_seed(0)
    block, x = NonLocal(C, kind=kind, std=1.0).eval(), torch.randn(1, C, *GRID)
    with torch.no_grad():
        (look,), raw = block.looks(x, [3, 4]), block.attention(x, [3, 4])
    total = raw.abs().flatten(2).sum(dim=2)[..., None, None]
    assert torch.allclose(look.weights * total, raw) and look.rule
    assert kind == "concatenation" or look.weights.min() < 0


def test_pooled_keys_say_how_many_cells_they_cover():
    x = torch.randn(1, C, 5, 3)
    (look,) = NonLocal(C, pool=2).looks(x, [0])
    assert look.window == (2, 2) and look.weights.shape == (1, 1, 2, 1)


def test_cgnl_shows_the_map_of_its_scalar():
    torch.manual_seed(0)
    block, x = CGNL(C, groups=1, std=1.0).double(), torch.randn(1, C, *GRID, dtype=torch.float64)
    with torch.no_grad():
        (look,) = block.looks(x, [0, 7])
        _, phi, g = block.project(x)
    m = (phi * g).sum(dim=1).view(GRID)
    expected = m / m.abs().sum() * m.sum().sign()
    for query in range(2):
        assert torch.allclose(look.weights[0, query], expected)


def test_queries_without_any_weight_stay_zero():
    weights = torch.stack([torch.zeros(2, 3), torch.ones(2, 3)])[None]
    assert of_magnitude_one(weights)[0].flatten(1).sum(dim=1).tolist() == pytest.approx([0, 1])


class Foreign(torch.nn.Module):
    """A block of another package, which has the methods of `Block` alone."""

    has_attention = True

    def attention(self, x, query):
        return torch.ones(len(x), len(query), 2, 2)


def test_a_block_of_another_package_shows_its_attention():
    (look,) = looks_of(Foreign(), torch.zeros(1, 3, 4, 4), [0, 1])
    assert look.kind == "pairwise" and look.weights.shape == (1, 2, 2, 2)
    foreign = Foreign()
    foreign.has_attention = False
    assert looks_of(foreign, torch.zeros(1, 3, 4, 4), [0]) == ()


def test_a_block_that_adds_has_no_factors():
    with pytest.raises(ValueError, match=r"fusion='add' multiplies no channel, so there is no factor to show"):
        GlobalContext(C).gates(torch.zeros(1, C, 2, 2))
    assert SqueezeExcite(C).gates(torch.zeros(1, C, 2, 2)).shape == (1, C)
