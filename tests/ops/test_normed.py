"""A map that a batch norm made, computed again: the same values, every gradient by name, and nothing kept."""

import pytest
import torch
from rounding import agree
from torch import nn

from wholeframe import ops
from wholeframe.blocks import BLOCKS, GlobalContext
from wholeframe.models.measure import peak_bytes
from wholeframe.ops import context

NORMS = {
    "batch": lambda c: nn.BatchNorm2d(c),
    "running": lambda c: nn.BatchNorm2d(c).eval(),
    "no running": lambda c: nn.BatchNorm2d(c, track_running_stats=False).eval(),
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    """However small the map."""
    monkeypatch.setattr(context, "LARGE", 0)


def norm_of(name, channels=8, dtype=torch.float64):
    torch.manual_seed(0)
    norm = NORMS[name](channels).to(dtype)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        if tensor is not None:
            nn.init.normal_(tensor)
    if norm.running_var is not None:
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def given(dtype=torch.float64, layout="contiguous"):
    torch.manual_seed(1)
    u = 3 + torch.randn(2, 8, 3, 4, dtype=dtype).to(memory_format=LAYOUTS[layout])
    return u.requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NORMS)
def test_it_is_the_map(name, layout):
    x = norm_of(name)(given(layout=layout))
    found = ops.normed(x)
    assert found is not None
    with torch.no_grad():
        again = found.again()
    assert again.stride() == x.stride() and again.data_ptr() != x.data_ptr()
    agree(again, x.detach(), terms=8)
    again = found.again()
    assert again.requires_grad
    agree(again.detach(), x.detach(), terms=8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_of_every_precision(dtype):
    x = nn.BatchNorm2d(8).to(dtype)(given(dtype))
    found = ops.normed(x)
    assert found is not None
    with torch.no_grad():
        again = found.again()
    assert again.dtype == dtype
    torch.testing.assert_close(again, x.detach(), rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


def test_what_no_such_norm_made():
    norm, u = norm_of("batch"), given()
    assert ops.normed(u) is None and ops.normed(norm(u) + 1) is None
    with torch.no_grad():
        assert ops.normed(norm(u)) is None
    assert ops.normed(nn.GroupNorm(2, 8).double()(u)) is None
    assert ops.normed(nn.BatchNorm2d(8, affine=False).double()(u)) is None
    with torch.autograd.graph.save_on_cpu():
        assert ops.normed(norm(u)) is None
    norm.bias.requires_grad_(False)
    assert ops.normed(norm(u)) is None


def test_a_norm_whose_graph_is_gone_has_nothing_to_give():
    x = norm_of("batch")(given() * 1)
    x.sum().backward()
    assert ops.normed(x) is None
    u = given() * 1
    x = norm_of("batch")(u)
    u.add_(1)
    assert ops.normed(x) is None


MADE = {
    "gc": lambda: GlobalContext(8, ratio=1 / 2, init="random"),
    "gc, multiply_add": lambda: GlobalContext(8, ratio=1 / 2, fusion="multiply_add", init="random"),
    "snl": lambda: BLOCKS["snl"].make(8, init="random"),
    "se": lambda: BLOCKS["se"].make(8, ratio=1 / 2),
    "ese": lambda: BLOCKS["ese"].make(8, gate="sigmoid"),
}


def results(block, norm, change, overwrite, dense):
    """The output, and the gradients of u and of all weights, and those of a gradient."""
    u = given()
    x = norm(u * 1)
    if dense:
        x = x + 0  # which no norm made
    inputs = {"u": u, **dict(norm.named_parameters(prefix="norm")), **dict(block.named_parameters())}
    z = block(x, overwrite=overwrite)
    if overwrite:
        assert z.data_ptr() == x.data_ptr()
    z = change(z)
    first = torch.autograd.grad(z.square().sum(), [*inputs.values()], create_graph=True)
    penalty = sum((g.square() * torch.linspace(1, 2, g.numel(), dtype=g.dtype).view_as(g)).sum() for g in first)
    second = torch.autograd.grad(penalty, [*inputs.values()], allow_unused=True)
    named = {f"second {k}": torch.zeros(()) if g is None else g for k, g in zip(inputs, second, strict=True)}
    return {"z": z.detach(), **dict(zip(inputs, (g.detach() for g in first), strict=True)), **named}


@pytest.mark.parametrize("change", [lambda z: z * 2, lambda z: z.add_(1).relu_()], ids=["apart", "in place"])
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("overwrite", [False, True])
def test_every_gradient(made, name, overwrite, change):
    torch.manual_seed(2)
    block, norm = MADE[made]().double(), norm_of(name)
    ours = results(block, norm, change, overwrite, dense=False)
    theirs = results(block, norm, change, False, dense=True)
    for key, value in theirs.items():
        agree(ours[key], value, terms=8 * 96, what=key)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("made", MADE)
def test_every_gradient_that_is_not_differentiated_again(made, name, layout, samples):
    """It takes sums over the input of the norm."""
    torch.manual_seed(2)
    block, norm = MADE[made]().double(), norm_of(name)
    u = torch.randn(samples, 8, 3, 4, dtype=torch.float64).add(3).to(memory_format=LAYOUTS[layout]).requires_grad_()
    inputs = {"u": u, **dict(norm.named_parameters(prefix="norm")), **dict(block.named_parameters())}
    dz = torch.randn(u.shape, dtype=u.dtype).to(memory_format=LAYOUTS[layout])
    ours = torch.autograd.grad(block(norm(u * 1), overwrite=True), [*inputs.values()], dz)
    theirs = torch.autograd.grad(block(norm(u * 1) + 0), [*inputs.values()], dz)
    for key, found, expected in zip(inputs, ours, theirs, strict=True):
        agree(found, expected, terms=8 * 96, what=key)


@pytest.mark.parametrize("made", ["gc", "se"])
def test_a_mean_far_from_zero_costs_the_digits_that_it_costs_the_norm(made):
    """x itself is s u - s mean + b in the working precision, and has lost as many."""
    torch.manual_seed(2)
    block, norm, far = MADE[made]().double(), norm_of("batch"), 1000.0
    u = far + torch.randn(2, 8, 6, 6, dtype=torch.float64)
    dz = torch.randn(u.shape, dtype=u.dtype)

    def gradients(dtype):
        block.to(dtype), norm.to(dtype)
        z = block(norm(u.to(dtype).requires_grad_() * 1), overwrite=True)
        named = dict(block.named_parameters())
        return dict(zip(named, torch.autograd.grad(z, [*named.values()], dz.to(dtype)), strict=True))

    exact, rounded = gradients(torch.float64), gradients(torch.float32)
    for key, value in exact.items():
        scale = max(value.abs().max(), 1)
        assert (rounded[key] - value).abs().max() <= far * torch.finfo(torch.float32).eps * 72**0.5 * scale, key


@pytest.mark.parametrize("made", MADE)
def test_many_gradients_at_once(made):
    """`is_grads_batched` runs the gradient under vmap, which writes into nothing that has no samples of its own."""
    torch.manual_seed(2)
    block, norm, u = MADE[made]().double(), norm_of("batch"), given()
    z = block(norm(u * 1), overwrite=True)
    many = torch.randn(3, *z.shape, dtype=z.dtype)
    (together,) = torch.autograd.grad(z, u, many, retain_graph=True, is_grads_batched=True)
    for one, expected in zip(many, together, strict=True):
        agree(torch.autograd.grad(z, u, one, retain_graph=True)[0], expected, terms=8 * 96)


@pytest.mark.parametrize("name", ["gc", "snl", "se"])
def test_no_map_is_kept_beyond_those_of_the_norm(name):
    """The peak of a training step with a block is that of the same step without it, where the block may overwrite."""
    block, norm = BLOCKS[name].make(64), nn.BatchNorm2d(64)
    u = torch.randn(2, 64, 32, 32, requires_grad=True)

    def step(run):
        run(norm(u * 1)).add_(1).relu_().sum().backward()

    def peak(run):
        step(run)
        u.grad = None
        return peak_bytes(lambda: step(run), torch.device("cpu"))

    assert peak(lambda x: block(x, overwrite=True)) < peak(lambda x: x) + 0.2 * u.nbytes
