"""Dispatch is arithmetic on shapes, and a named backend never falls back in silence."""

import pytest
import torch

from wholeframe import ops
from wholeframe.ops.backends import Impl, Sizes, choose, never
from wholeframe.ops.non_local.dense import CONCATENATION, DOT, TABLES

ANY = Sizes(q=9, k=9, d=4, v=4)


def fails(*_inputs):
    raise AssertionError("never called")


def impl(macs, reason=None):
    return Impl(fails, lambda *_inputs: reason, lambda _sizes: macs)


def test_auto_takes_the_cheapest_that_does_not_refuse():
    table = {"a": impl(1, "it is broken"), "b": impl(3), "c": impl(2)}
    assert choose(table, "auto", ANY) is table["c"]


def test_among_equals_auto_takes_the_first():
    table = {"a": impl(2), "b": impl(2)}
    assert choose(table, "auto", ANY) is table["a"]


def test_a_slow_implementation_has_to_save_that_much():
    slow, dense = impl(2)._replace(slowness=lambda *_: 3), impl(5)
    assert choose({"slow": slow, "dense": dense}, "auto", ANY) is dense
    assert choose({"slow": slow, "dense": dense._replace(macs=lambda _sizes: 7)}, "auto", ANY) is slow


def test_refusals_see_the_inputs():
    table = {"a": Impl(fails, lambda x: "too long" if x.shape[0] > 3 else None, lambda _s: 0), "dense": impl(9)}
    assert choose(table, "auto", ANY, torch.ones(3)) is table["a"]
    assert choose(table, "auto", ANY, torch.ones(4)) is table["dense"]


def test_a_named_backend_runs_however_dear():
    table = {"a": impl(1), "b": impl(10**9)}
    assert choose(table, "b", ANY) is table["b"]


def test_a_named_backend_that_refuses_says_why():
    with pytest.raises(ValueError, match="backend='a' cannot run here: it is broken"):
        choose({"a": impl(1, "it is broken"), "dense": impl(2)}, "a", ANY)


def test_an_unknown_backend_is_refused_with_those_there_are():
    x = torch.randn(1, 3, 2)
    with pytest.raises(ValueError, match="backend='flash' is not one of auto, sdpa, strips, symmetric, gram, dense"):
        ops.non_local_operation(x, x, x, "gaussian", backend="flash")


@pytest.mark.parametrize(("n", "name"), [(3, "dense"), (4, "associative"), (5, "associative"), (1000, "associative")])
def test_dot_is_associative_from_as_many_keys_as_channels(n, name):
    assert choose(DOT, "auto", Sizes(q=n, k=n, d=4, v=4)) is DOT[name]


def test_few_keys_make_dot_dense_for_any_number_of_queries():
    assert choose(DOT, "auto", Sizes(q=10_000, k=3, d=64, v=64)) is DOT["dense"]


@pytest.mark.parametrize("width", [4, 64, 512])
def test_concatenation_is_sorted_from_about_400_positions(width):
    """14 x 14 of an image is dense, 28 x 28 is not; where the two meet is a measurement."""
    taken = [choose(CONCATENATION, "auto", Sizes(q=n, k=n, d=width, v=width)) for n in (196, 784)]
    assert taken == [CONCATENATION["dense"], CONCATENATION["sorted"]]


def taken_of_softmax(n, d, v, theta, phi=None):
    """Among the ways of `gaussian`, which `embedded_gaussian` has but for those where theta is phi."""
    table = TABLES["gaussian"]
    impl = choose(table, "auto", Sizes(q=n, k=n, d=d, v=v), theta, theta.clone() if phi is None else phi)
    return next(name for name in table if table[name] is impl)


def test_softmax_is_fused_where_the_matrix_would_outgrow_what_it_is_made_of():
    """Memory stays linear in positions, whatever is faster."""
    x = torch.zeros(1, requires_grad=True)
    for d, v, otherwise in ((4, 4, "sdpa"), (256, 256, "sdpa"), (512, 256, "strips")):
        limit = 2 * d + v
        assert [taken_of_softmax(n, d, v, x) for n in (limit, limit + 1)] == ["dense", otherwise]


def test_softmax_of_a_small_map_is_dense_for_gradients_or_for_unequal_widths():
    """The fused backward pass computes the logits again, and values are padded to the width of the keys."""
    x = torch.zeros(1)
    assert taken_of_softmax(196, 256, 256, x) == "sdpa"
    assert taken_of_softmax(784, 512, 256, x) == "dense"
    assert taken_of_softmax(3136, 512, 256, x) == "strips"
    assert taken_of_softmax(196, 256, 256, x.clone().requires_grad_()) == "dense"
    with torch.no_grad():
        assert taken_of_softmax(196, 256, 256, x.clone().requires_grad_()) == "sdpa"


def test_symmetric_logits_are_computed_once():
    """As most of a matrix while it is small (of a tiny one, only for the product that its gradient spares)."""
    x = torch.zeros(1)
    assert [taken_of_softmax(n, 512, 256, x, x) for n in (49, 784, 1281)] == ["dense", "gram", "symmetric"]
    x.requires_grad_()
    assert [taken_of_softmax(n, 512, 256, x, x) for n in (49, 784, 1281)] == ["gram", "gram", "symmetric"]


def test_softmax_of_halves_is_fused():
    x = torch.zeros(1, requires_grad=True)
    half = x.half()
    assert taken_of_softmax(196, 512, 256, half, half) == "sdpa"
    with torch.autocast("cpu"):
        assert taken_of_softmax(3136, 512, 256, x, x) == "sdpa"


def test_never_refuses():
    assert never(torch.ones(1)) is None
