"""A block survives copying, storing, exporting and compiling."""

import copy
import pickle

import pytest
import torch
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


def test_export_with_dynamic_batch_and_grid(alive, rank):
    block = alive().eval()
    sizes = (4, 5, 6)[:rank]
    dynamic = {0: Dim("batch"), **{axis + 2: Dim(f"size{axis}") for axis in range(rank)}}
    exported = export(block, (torch.randn(2, 8, *sizes, dtype=torch.float64),), dynamic_shapes=(dynamic,)).module()
    for other in (sizes, (9, 4, 3)[:rank], (30, 2, 7)[:rank]):
        x = torch.randn(3, 8, *other, dtype=torch.float64)
        torch.testing.assert_close(exported(x), block(x), rtol=1e-12, atol=1e-12)


@pytest.mark.compiled
def test_compile(alive, x):
    torch._dynamo.reset()
    block = alive()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x, z = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = compiled(x)
    torch.testing.assert_close(y, block(z), rtol=1e-12, atol=1e-12)
    y.square().sum().backward()
    block(z).square().sum().backward()
    torch.testing.assert_close(x.grad, z.grad, rtol=1e-12, atol=1e-12)
