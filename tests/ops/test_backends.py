"""A named backend never falls back in silence, and a graph is recognised as one."""

import pytest
import torch

from wholeframe import ops
from wholeframe.ops.backends import Backend, full_precision, in_graph, named, never


def way(reason=None):
    return Backend(lambda: None, lambda *_arguments: reason, lambda _size: 0)


def test_a_named_backend_is_the_one_of_that_name():
    table = {"a": way(), "b": way()}
    assert named(table, "b") is table["b"]


def test_a_named_backend_that_refuses_says_why():
    with pytest.raises(ValueError, match="backend='a' cannot run here: it is broken"):
        named({"a": way("it is broken"), "dense": way()}, "a")


def test_refusals_see_the_arguments():
    table = {"a": way()._replace(refuse=lambda x: "too long" if x.shape[0] > 3 else None)}
    assert named(table, "a", torch.ones(3)) is table["a"]
    with pytest.raises(ValueError, match="too long"):
        named(table, "a", torch.ones(4))


def test_an_unknown_backend_is_refused_with_the_names_there_are():
    x = torch.randn(1, 3, 2)
    with pytest.raises(ValueError, match="backend='flash' is not one of auto, sdpa, symmetric, gram, dense"):
        ops.non_local_operation(x, x, x, "gaussian", backend="flash")


def test_never_refuses():
    assert never(torch.ones(1)) is None


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:FutureWarning")
def test_a_trace_is_a_graph():
    seen = []

    def function(x):
        seen.append(in_graph())
        return x + 1

    function(torch.ones(1))
    torch.jit.trace(function, torch.ones(1), check_trace=False)
    assert seen == [False, True]


def test_full_precision():
    x = torch.ones(1)
    assert full_precision(x) and full_precision(x.double()) and not full_precision(x.half())
    with torch.autocast("cpu"):
        assert not full_precision(x)
