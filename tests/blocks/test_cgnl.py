"""The CGNL block against the dense operation, and what its options do."""

import pytest
import torch
from new_maps import kept_bytes, new_maps
from rounding import agree, moves
from torch import nn

from wholeframe import ops
from wholeframe.blocks import CGNL

RBF = {"kernel": "rbf", "gamma": 0.05, "learn_gamma": True}
TAYLOR = {"kernel": "taylor", "gamma": 0.05, "learn_gamma": True, "order": 2}
KERNELS = {"dot": {}, "taylor": TAYLOR, "rbf": RBF}


def alive(channels=12, **options):
    torch.manual_seed(0)
    block = CGNL(channels, **{"groups": 3, "inner": 6, **options}).double()
    for name, parameter in block.named_parameters():
        if name != "log_gamma":
            nn.init.normal_(parameter, std=0.5)
    return block


def by_definition(block, x):
    """z = x + norm(W_z y), group by group, with the dense operation."""
    theta, phi, g = (
        torch.einsum("dc,bcn->bdn", layer.weight, x.flatten(2)) for layer in (block.theta, block.phi, block.g)
    )
    gamma = block.gamma if block.log_gamma is None else block.log_gamma.exp()
    parts = []
    for t, p, v, w in zip(*(y.chunk(block.groups, 1) for y in (theta, phi, g)), block.out.matrices, strict=True):
        t, p, v, shape = t.flatten(1)[:, None], p.flatten(1)[:, None], v.flatten(1)[:, None], t.shape
        y = ops.gnl(t, p, v, block.kernel, gamma=gamma, order=block.order)
        if block.scale:
            y = y / t.shape[-1] ** 0.5
        parts.append(torch.einsum("ek,bkn->ben", w, y.reshape(shape)))
    z = torch.cat(parts, dim=1)
    return x + (z if block.norm is None else block.norm(z)).reshape(x.shape)


def outcome(function, block, x):
    block.zero_grad()
    x = x.clone().requires_grad_()
    y = function(x)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape))
    return y.detach(), {"x": x.grad, **{name: p.grad.clone() for name, p in block.named_parameters()}}


def definition(block, x):
    """The output and every gradient by name."""
    y, gradients = outcome(lambda x: by_definition(block, x), block, x)
    return {"y": y, **gradients}


@pytest.mark.parametrize("grid", [(9,), (1, 2), (5, 4), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("norm", ["gn", "bn", None])
@pytest.mark.parametrize("scale", [None, "sqrt_length"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_block_is_its_definition_with_every_gradient(kernel, scale, norm, grid):
    """Grids with more positions and with fewer than a group has channels: the scalar goes to W_z, or to theta."""
    block = alive(scale=scale, norm=norm, **KERNELS[kernel])
    x = torch.randn(2, 12, *grid, dtype=torch.float64)
    move = moves(definition, block, x)
    (y, gradients), (ours, others) = outcome(lambda x: by_definition(block, x), block, x), outcome(block, block, x)
    agree(ours, y, x[0].numel(), moved=move["y"])
    for name, gradient in gradients.items():
        agree(others[name], gradient, x[0].numel(), moved=move[name], what=name)


def test_group_norm_leaves_a_sign_of_the_attention():
    """What the docstring warns of: with the released norm, phi and g are all but cancelled; with batch norm not."""
    x = torch.randn(2, 12, 8, 8, dtype=torch.float64)
    for norm, cancels in (("gn", True), ("bn", False)):
        block = alive(norm=norm)
        _, gradients = outcome(block, block, x)
        shares = {name: float(gradients[f"{name}.weight"].abs().mean()) for name in ("theta", "phi", "g")}
        assert (max(shares["phi"], shares["g"]) < 1e-3 * shares["theta"]) == cancels
        # One sample of the two louder: its scalars grow a hundredfold, against those of the other.
        louder = x * torch.tensor([10.0, 1])[:, None, None, None]
        added = (block(louder) - louder)[0], (block(x) - x)[0]
        assert torch.allclose(*added, atol=1e-2) == cancels


def test_a_channel_sees_its_own_group_only():
    block = alive(norm=None)
    x = torch.randn(1, 12, 4, 4, dtype=torch.float64)
    before = block(x)
    with torch.no_grad():
        for layer in (block.theta, block.phi, block.g):
            layer.weight[:2] *= 2
    changed = (block(x) - before).abs().amax(dim=(0, 2, 3)) > 0
    assert changed.tolist() == [True] * 4 + [False] * 8


@pytest.mark.parametrize("kernel", ["taylor", "rbf"])
def test_gamma_can_be_learned(kernel):
    block = alive(norm="bn", **KERNELS[kernel])
    assert float(block.log_gamma.detach().exp()) == pytest.approx(0.05)
    x = torch.randn(2, 12, 4, 4, dtype=torch.float64)
    block(x).square().sum().backward()
    assert block.log_gamma.grad.abs() > 1e-6
    nn.init.zeros_(block.log_gamma)
    block.reset_parameters()
    assert float(block.log_gamma.detach().exp()) == pytest.approx(0.05)
    assert alive(kernel=kernel).log_gamma is None and alive(kernel=kernel).gamma == 1e-4


def test_a_range_beyond_the_declared_one_raises_and_an_undeclared_one_is_measured():
    x = 100 * torch.randn(1, 12, 4, 4, dtype=torch.float64)
    assert torch.isfinite(alive(**RBF)(x)).all()
    with pytest.raises(ValueError, match="beyond the declared max_span=2; give max_span="):
        alive(**RBF, max_span=2.0)(x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "rfb"}, "kernel='rfb' is not one of 'dot', 'taylor', 'rbf'; did you mean 'rbf'?"),
        ({"norm": "group"}, "norm='group' is not one of 'gn', 'bn', None"),
        ({"init": "zeros"}, "init='zeros' is not one of 'identity', 'random'"),
        ({"scale": "sqrt_dim"}, "scale='sqrt_dim' is not one of 'sqrt_length', None"),
        ({"groups": 8}, "groups=8 does not divide channels=100; divisors near 8 are 5 and 10"),
        ({"groups": 0}, "groups must be an integer of at least 1, got 0"),
        ({"groups": 200}, "groups=200 does not divide channels=100; the divisor nearest to 200 is 100"),
        ({"groups": 4, "inner": 30}, "groups=4 does not divide inner=30; divisors near 4 are 3 and 5"),
        ({"groups": 1, "inner": 0}, "inner must be an integer of at least 1, got 0 (the default is 50)"),
        ({"gamma": 0.1}, "gamma=0.1 does not apply to kernel='dot'; leave it out, or take kernel='taylor' or 'rbf'"),
        ({"learn_gamma": True}, "learn_gamma=True does not apply to kernel='dot'"),
        (
            {"kernel": "rbf", "order": 2},
            "order=2 does not apply to kernel='rbf'; leave it out, or take kernel='taylor'",
        ),
        ({"kernel": "taylor", "max_span": 2.0}, "max_span=2.0 does not apply to kernel='taylor'"),
        (
            {"kernel": "taylor", "groups": 1, "order": -1},
            "order must be an integer of at least 0, got -1 (the default is 3)",
        ),
        ({"kernel": "rbf", "groups": 1, "gamma": 0.0}, "gamma must be positive, got 0 (the default is 0.0001)"),
        (
            {"kernel": "rbf", "groups": 10, "max_span": "space"},
            "max_span must be a positive number up to 1024, or None, got 'space'",
        ),
        (
            {"kernel": "rbf", "groups": 10, "max_span": 0},
            "max_span must be a positive number up to 1024, or None, got 0",
        ),
        ({"groups": "8"}, "groups must be an integer of at least 1, got '8'"),
        ({"groups": 10, "std": "small"}, "std must be a number of at least 0, got 'small' (the default is 0.01)"),
        ({"groups": 10, "eps": 0}, "eps must be positive, got 0 (the default is 1e-05)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError) as caught:
        CGNL(100, **options)
    assert message in str(caught.value)


def test_there_is_no_attention_to_show():
    block = alive()
    assert not block.has_attention
    with pytest.raises(ValueError, match="there is no map over the grid to show; NonLocal has one"):
        block.attention(torch.randn(1, 12, 4, 4), [0])


@pytest.mark.parametrize(("groups", "parameters"), [(1, 2_099_200), (4, 1_705_984), (8, 1_640_448), (16, 1_607_680)])
def test_parameters_are_those_of_the_released_block(groups, parameters):
    assert sum(p.numel() for p in CGNL(1024, groups=groups).parameters()) == parameters


def test_the_initial_weights():
    released, he = CGNL(256), CGNL(256, std=None)
    for name in ("theta", "phi", "g", "out"):
        assert abs(getattr(released, name).weight.std() - 0.01) < 1e-3
    assert abs(he.theta.weight.std() - (2 / 128) ** 0.5) < 5e-3
    assert not released.norm.weight.any() and CGNL(256, init="random").norm.weight.all()
    assert not CGNL(256, norm=None).out.weight.any()


def test_the_norm_is_as_asked():
    group, batch = CGNL(16, eps=0.5).norm, CGNL(16, norm="bn", eps=0.5, momentum=0.25).norm
    assert isinstance(group, nn.GroupNorm) and (group.num_groups, group.eps) == (8, 0.5)
    assert isinstance(batch, nn.BatchNorm1d) and (batch.eps, batch.momentum) == (0.5, 0.25)


@pytest.mark.usefixtures("unchecked")
def test_channels_that_are_not_a_width_are_refused():
    for channels in (0, -8, 12.0):
        with pytest.raises(ValueError, match="channels must be an integer of at least 1, got"):
            CGNL(channels)


def test_multiply_adds_count_the_kernel_at_its_span():
    projections, kernel, out = 3 * 12 * 6 * 20, 6 * 20, 12 * 2 * 20
    assert alive().multiply_adds((4, 5)) == projections + kernel + out
    assert alive(kernel="taylor", order=5).multiply_adds((4, 5)) == projections + 10 * kernel + out
    near, far = (alive(kernel="rbf", max_span=max_span).multiply_adds((4, 5)) for max_span in (0.1, 30.0))
    assert near < far


def test_repr_tells_the_options():
    text = "12, inner=6, groups=3, kernel="
    assert text + "'dot', scale=None, init='identity'" in repr(alive())
    assert text + "'taylor', gamma=0.05, order=2, scale=None, init='identity'" in repr(alive(**TAYLOR))
    assert text + "'rbf', gamma=0.05, max_span=None, scale=None, init='identity'" in repr(alive(**RBF))


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (8, 4), (20, 5), (24, 6), (3, 1), (100, 5), (1, 1)])
def test_the_default_groups_divide_narrow_maps_and_the_block_says_so(channels, groups):
    block = CGNL(channels)
    assert block.groups == groups
    if groups == 8:
        assert block.remark is None
    else:
        assert f"the default of 8 does not divide both {channels} channels" in block.remark
    assert block(torch.randn(2, channels, 3, 3)).shape == (2, channels, 3, 3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_maps_of_every_layout_are_served_without_a_copy(training, layout):
    """A forward pass has maps for W_z y and the norm, a backward pass for both gradients and W_z y again.

    The norm is of contiguous maps, so for another layout of x the sum is a map of its own.
    """
    block, other = CGNL(16, groups=2, init="random").train(training), layout is torch.channels_last
    x = torch.randn(2, 16, 8, 8).to(memory_format=layout).requires_grad_()
    found, dx = [], []
    forward = new_maps(lambda: found.append(block(x)), like=x)
    assert forward == ["bmm", "native_group_norm"] + ["add"] * other
    dz = torch.randn(2, 16, 8, 8).to(memory_format=layout)
    backward = new_maps(lambda: dx.extend(torch.autograd.grad(found, [x], [dz])), like=x)
    assert backward == ["bmm", "native_group_norm_backward", "bmm", "add"]
    assert found[0].is_contiguous(memory_format=layout) and dx[0].is_contiguous(memory_format=layout)


def test_the_backward_pass_keeps_the_embeddings_and_no_output():
    """theta, phi and g are half a map each, and a W_z is small."""
    block = CGNL(16, groups=2, init="random")
    x = torch.randn(2, 16, 8, 8, requires_grad=True)
    small = 4 * (2 * 16 * 4 + 3 * 2 * 2)  # a W_z, and a, the mean and the deviation of every group
    assert kept_bytes(lambda: block(x), (x, *block.parameters())) <= 1.5 * x.nbytes + small
