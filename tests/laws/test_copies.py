"""A block survives copying, storing, exporting and compiling."""

import copy
import pickle

import pytest
import torch
from rounding import agree, moved, moves
from torch.export import Dim, export


def test_deepcopy(alive, x):
    block = alive().eval()
    assert torch.equal(copy.deepcopy(block)(x), block(x))


def test_pickle(alive, x):
    block = alive().eval()
    assert torch.equal(pickle.loads(pickle.dumps(block))(x), block(x))


def test_state_dict(alive, x):
    block, other = alive().eval(), alive().eval()
    assert not torch.equal(other(x), block(x))
    other.load_state_dict(block.state_dict())
    assert torch.equal(other(x), block(x))


def test_a_forward_leaves_nothing_behind(alive, x):
    """No attention kept for later, no counter: what a block knows is in its state dict."""
    block = alive().eval()
    before = set(vars(block)), {key: tensor.clone() for key, tensor in block.state_dict().items()}
    block(x)
    assert set(vars(block)) == before[0]
    assert all(torch.equal(tensor, before[1][key]) for key, tensor in block.state_dict().items())


@pytest.mark.slow_beyond(3)
def test_export_with_dynamic_batch_and_grid(alive, rank):
    block = alive().eval()
    sizes = (4, 5, 6)[:rank]
    dynamic = {0: Dim("batch"), **{axis + 2: Dim(f"size{axis}") for axis in range(rank)}}
    exported = export(block, (torch.randn(2, 8, *sizes, dtype=torch.float64),), dynamic_shapes=(dynamic,)).module()
    for other in (sizes, (9, 4, 3)[:rank], (30, 2, 7)[:rank]):
        x = torch.randn(3, 8, *other, dtype=torch.float64)
        agree(exported(x), block(x), x[0].numel(), moved=moved(block, x))


def gradient(block, x):
    x = x.detach().clone().requires_grad_()
    return {"x": torch.autograd.grad(block(x).square().sum(), x)[0]}


@pytest.mark.slow_beyond(1)
@pytest.mark.compiled
def test_compile(alive, x):
    torch._dynamo.reset()
    block = alive()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x, z = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = compiled(x)
    agree(y, block(z), x[0].numel(), moved=moved(block, z))
    y.square().sum().backward()
    block(z).square().sum().backward()
    agree(x.grad, z.grad, x[0].numel(), moved=moves(gradient, block, z)["x"])
