"""How much a block depends on the query: closed forms against definitions, and against independent numbers."""

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from rounding import agree
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from wholeframe.blocks import BLOCKS, GlobalContext, NonLocal, SimplifiedNonLocal
from wholeframe.explain.dependence import (
    cosine_distance,
    dense_cosine_distance,
    dense_jensen_shannon,
    dependence,
    effective_keys,
    jensen_shannon,
    sampled_queries,
)

GOLDEN = Path(__file__).parents[1] / "goldens/gcnet/spec_query_independence_stats.safetensors"
KINDS = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def alive(kind="embedded_gaussian", **options):
    return NonLocal(8, kind=kind, norm=None, std=0.5, init="random", **options).double()


def of_rows(w, chunk=3):
    return jensen_shannon(w.double(), chunk)


def close(actual, expected):
    agree(actual, expected, terms=20 * 20, scale=1.0)  # pairs of positions; statistics of numbers near one


@pytest.mark.parametrize("kind", KINDS)
def test_golden(kind):
    """Statistics by loops over pairs in plain Python, of inputs, outputs and attention of mmcv's blocks."""
    tensors = load_file(GOLDEN)
    with safe_open(GOLDEN, "pt") as file:
        expected = json.loads(file.metadata()[kind])
    x, z, w = (tensors[f"{kind}.{name}"] for name in ("x", "z", "att"))
    x, z = (t.flatten(2).mT for t in (x, z))
    found = {"input_cos": x, "output_cos": z - x, "output_with_residual_cos": z, "att_cos": w}
    assert len(expected) == len(x)
    for name, vectors in found.items():
        close(cosine_distance([vectors]), torch.tensor([expected[b][name] for b in "01"], dtype=torch.float64))
    if "att_jsd" in expected["0"]:
        close(of_rows(w), torch.tensor([expected[b]["att_jsd"] for b in "01"], dtype=torch.float64))
    else:
        assert kind in ("dot_product", "concatenation")


def test_closed_forms_are_the_definitions():
    v, w = torch.randn(2, 20, 5), torch.randn(2, 20, 7, dtype=torch.float64).mul(3).softmax(dim=-1)
    v[0, 3] = 0
    close(cosine_distance(v.split(6, dim=1)), dense_cosine_distance(v))
    w[1, :4, 0], w[1, :4, 1:] = 1, 0  # one-hot rows have 0 ln 0
    close(of_rows(w, chunk=6), dense_jensen_shannon(w))
    close(of_rows(w, chunk=6), of_rows(w, chunk=100))


def test_the_ends_of_the_scales():
    one_hot, same = torch.eye(4)[None], torch.full((1, 4, 4), 0.25)
    assert cosine_distance([one_hot]).item() == pytest.approx(3 / 8)
    assert of_rows(one_hot.double()).item() == pytest.approx(math.log(2) * 3 / 4)
    assert cosine_distance([same]).item() == pytest.approx(0, abs=1e-15)
    assert of_rows(same.double()).item() == pytest.approx(0, abs=1e-15)
    assert cosine_distance([torch.tensor([[[1.0], [-1.0]]])]).item() == 0.5
    assert effective_keys(one_hot.double()).tolist() == [[0.25] * 4]
    assert effective_keys(same.double()).mean().item() == pytest.approx(1)


def test_vectors_that_are_nearly_alike_keep_their_digits():
    """1 - |mean|^2 of float32 vectors at a distance of 1e-6 from each other."""
    v = torch.ones(1, 100, 16) + 1e-3 * torch.randn(1, 100, 16)
    assert 1e-7 < dense_cosine_distance(v) < 1e-6
    torch.testing.assert_close(cosine_distance([v]), dense_cosine_distance(v), rtol=1e-8, atol=0)


@pytest.mark.parametrize("kind", ["gaussian", "embedded_gaussian", "euclidean_gaussian", "dot", "concatenation"])
def test_statistics_are_those_of_what_a_block_adds(kind):
    block, x = alive(kind), torch.randn(2, 8, 4, 5, dtype=torch.float64)
    found = dependence(block, x, chunk=7)
    positions, added = x.flatten(2).mT, (block(x) - x).flatten(2).mT
    rows = block.attention(x, range(20)).flatten(2)
    close(found.input, dense_cosine_distance(positions))
    close(found.output, dense_cosine_distance(added))
    close(found.attention, dense_cosine_distance(rows))
    if kind in ("dot", "concatenation"):
        assert found.divergence is None and found.keys_used is None
    else:
        close(found.divergence, dense_jensen_shannon(rows))
        assert found.divergence.min() > 1e-3
        close(found.keys_used, (rows**-rows).prod(dim=-1).mean(dim=1) / 20)  # exp(-sum w ln w) as a product


def test_pooled_keys_and_restricted_spans():
    x = torch.randn(1, 8, 4, 6, 4, dtype=torch.float64)
    for options in ({"pool": 2}, {"attend_over": "space"}, {"frames_per_group": 2}):
        block = alive(**options)
        rows = block.attention(x, range(96)).flatten(2)
        found = dependence(block, x)
        close(found.attention, dense_cosine_distance(rows))
        close(found.divergence, dense_jensen_shannon(rows))


@pytest.mark.parametrize("make", [partial(GlobalContext, ratio=1 / 2), SimplifiedNonLocal])
def test_a_context_adds_the_same_everywhere(make):
    found = dependence(make(8, init="random"), torch.randn(2, 8, 4, 5))
    for statistic in (found.output, found.attention, found.divergence):
        assert statistic.max() < 1e-6
    assert found.input.min() > 0.4


@pytest.mark.parametrize("name", [name for name in BLOCKS if not BLOCKS[name].make(64).has_attention])
def test_blocks_without_attention_have_the_other_statistics(name):
    found = dependence(BLOCKS[name].make(64), torch.randn(2, 64, 9, 9))
    assert found.attention is None and found.divergence is None
    assert found.input.isfinite().all()
    assert found.output.isnan().all() == BLOCKS[name].make(64).identity_at_init


def test_a_sample_of_queries_is_right_on_average():
    block, x = alive(), torch.randn(1, 8, 3, 3, dtype=torch.float64)
    pairs = [[i, j] for i in range(9) for j in range(i)]
    of_pairs, of_all = [dependence(block, x, queries=pair) for pair in pairs], dependence(block, x)
    for name in ("attention", "divergence", "keys_used"):
        estimates = torch.cat([getattr(pair, name) for pair in of_pairs])
        close(estimates.mean(), getattr(of_all, name)[0])
        assert estimates.std() > 1e-3, name


def test_queries_are_sampled_where_a_grid_is_large():
    def chosen(positions, keys):
        return sampled_queries(positions, keys, torch.Generator().manual_seed(0))

    assert torch.equal(chosen(196, 196), torch.arange(196))
    assert len(chosen(784, 784)) == 112 and len(chosen(784, 784).unique()) == 112
    assert len(chosen(100_352, 100_352)) == 16 and chosen(100_352, 100_352).max() < 100_352
    assert not torch.equal(chosen(784, 784), torch.arange(112))


def test_statistics_are_of_a_block_that_does_not_train():
    block, x = NonLocal(8, init="random"), torch.randn(2, 8, 4, 5)
    before = block.norm.running_mean.clone()
    dependence(block, x)
    assert block.training and torch.equal(block.norm.running_mean, before)


def test_refusals():
    x = torch.randn(1, 8, 3, 3)
    with pytest.raises(ValueError, match="Conv2d is not a wholeframe block; give one, such as"):
        dependence(nn.Conv2d(8, 8, 1), x)
    with pytest.raises(ValueError, match="queries must have at least two of the 9 positions, got 1"):
        dependence(NonLocal(8), x, queries=[4])
