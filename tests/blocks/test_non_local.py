import pytest
import torch
from new_maps import kept_bytes, new_maps
from torch import nn

from wholeframe import ops
from wholeframe.blocks import NonLocal


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, 3, 4, 5)


def alive(**options):
    torch.manual_seed(0)
    return NonLocal(8, std=0.5, init="random", concatenation_bias=options.get("kind") == "concatenation", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "embeded_gaussian"}, "kind='embeded_gaussian' is not one of .*; did you mean 'embedded_gaussian'?"),
        ({"pool_order": "first"}, "pool_order='first' is not one of 'before', 'after'"),
        ({"norm": "batch"}, "norm='batch' is not one of 'bn', 'affine', None"),
        ({"init": "zeros"}, "init='zeros' is not one of 'identity', 'random'"),
        ({"backend": "associative"}, "backend='associative' is not one of 'auto', 'sdpa', 'dense'"),
        ({"kind": "dot", "backend": "sdpa"}, "backend='sdpa' is not one of 'auto', 'associative', 'gram', 'dense'"),
        ({"kind": "dot", "scale": "sqrt_dim"}, "scale='sqrt_dim' does not apply to kind='dot', .*leave scale=None"),
        ({"kind": "concatenation", "scale": 0.5}, "scale=0.5 does not apply to kind='concatenation'"),
        ({"scale": "sqrt_dims"}, "scale='sqrt_dims' is not one of 'sqrt_dim', None; did you mean 'sqrt_dim'?"),
        ({"inner": 0}, r"inner must be an integer of at least 1, got 0 \(the default is 4\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NonLocal(8, **options)


def test_a_pool_that_does_not_fit_is_refused_with_the_map(x):
    with pytest.raises(ValueError, match=r"pool=\(2, 2\) names 2 axes, but the grid has 3"):
        NonLocal(8, pool=(2, 2))(x)
    with pytest.raises(ValueError, match=r"a pooling window of \(1, 5, 5\) does not fit a grid of \(3, 4, 5\)"):
        NonLocal(8, pool=5)(x)


def test_inner_is_half_the_channels_and_never_nothing():
    assert [NonLocal(channels).inner for channels in (1, 2, 7, 8)] == [1, 1, 3, 4]
    assert NonLocal(8, inner=3).g.out_features == 3


@pytest.mark.parametrize("kind", ops.KINDS)
def test_only_the_layers_of_the_kind_exist(kind):
    block = NonLocal(8, kind=kind)
    assert (block.theta is None) == (block.phi is None) == (kind == "gaussian")
    assert (block.w_f is None) == (kind != "concatenation")


def test_the_biases_and_the_norm_are_as_asked():
    block = NonLocal(8, kind="concatenation", bias=False, out_bias=False, concatenation_bias=True, norm=None)
    assert [layer.bias is not None for layer in (block.theta, block.phi, block.g, block.out)] == [False] * 4
    assert block.w_f.bias is not None and block.norm is None
    norm = NonLocal(8, eps=0.5, momentum=0.25).norm
    assert (norm.eps, norm.momentum) == (0.5, 0.25)


def test_std_of_the_embeddings():
    """0.01 in the released code; None is He, which keeps the variance of the gradients: 2 / inner."""
    torch.manual_seed(0)
    released, paper = NonLocal(256), NonLocal(256, std=None)
    for name in ("theta", "phi", "g"):
        assert abs(getattr(released, name).weight.std() - 0.01) < 1e-3
        assert abs(getattr(paper, name).weight.std() - (2 / 128) ** 0.5) < 5e-3
        assert not getattr(released, name).bias.any()


def test_a_zero_birth_without_a_norm_is_of_the_last_layer():
    block = NonLocal(8, norm=None)
    assert not block.out.weight.any() and not block.out.bias.any()
    assert NonLocal(8).out.weight.any()


@pytest.mark.parametrize("pool", [1, 2, (2, 2, 2)])
def test_key_grid(x, pool):
    block = alive(pool=pool)
    expected = {1: (3, 4, 5), 2: (3, 2, 2), (2, 2, 2): (1, 2, 2)}[pool]
    assert block.key_grid((3, 4, 5)) == expected
    assert block.attention(x, [0, 7]).shape == (2, 2, *expected)


@pytest.mark.parametrize("pool_order", ["before", "after"])
@pytest.mark.parametrize("kind", ops.KINDS)
def test_attention_is_the_row_of_a_chosen_query(x, kind, pool_order):
    block = alive(kind=kind, pool=2, pool_order=pool_order).eval()
    theta, phi, value = block.project(x)
    w_f = {} if block.w_f is None else {"w_f": block.w_f.weight[0], "beta": block.w_f.bias}
    weights = ops.pairwise_weights(theta, phi, kind, **w_f)
    rows = block.attention(x, [59, 0, 13]).flatten(2)
    torch.testing.assert_close(rows, weights[:, [59, 0, 13]])
    if "gaussian" in kind:
        torch.testing.assert_close(rows.sum(dim=-1), torch.ones(2, 3))
    # What forward adds to the queries is what these rows say.
    z = block.norm(block.out(rows @ value).transpose(1, 2))
    torch.testing.assert_close((block(x) - x).flatten(2)[:, :, [59, 0, 13]], z)


def test_attention_takes_indices_as_a_tensor_too(x):
    block = alive()
    assert torch.equal(block.attention(x, torch.tensor([3])), block.attention(x, [3]))


def test_attention_of_a_point(x):
    block, query = alive(), ops.flat_index((2, 1, 4), (3, 4, 5))
    logits = block.phi(ops.to_positions(x)) @ block.theta(x[:, :, 2, 1, 4])[:, :, None]
    expected = logits[..., 0].softmax(dim=1).unflatten(1, (3, 4, 5))
    torch.testing.assert_close(block.attention(x, [query])[:, 0], expected)


def test_pooling_before_is_looking_at_pooled_keys(x):
    block = alive(pool=2, pool_order="before")
    small = nn.functional.max_pool3d(x, (1, 2, 2))
    _, phi, value = block.project(x)
    torch.testing.assert_close(phi, block.phi(ops.to_positions(small)))
    torch.testing.assert_close(value, block.g(ops.to_positions(small)))


def test_pooling_after_is_pooling_what_was_projected(x):
    block = alive(pool=2, pool_order="after")
    _, phi, value = block.project(x)
    for projected, layer in ((phi, block.phi), (value, block.g)):
        grid = layer(ops.to_positions(x)).transpose(1, 2).unflatten(2, (3, 4, 5))
        torch.testing.assert_close(projected, ops.to_positions(nn.functional.max_pool3d(grid, (1, 2, 2))))


def test_the_order_of_pooling_matters(x):
    before, after = alive(pool=2, pool_order="before"), alive(pool=2, pool_order="after")
    after.load_state_dict(before.state_dict())
    assert (before(x) - after(x)).abs().max() > 0.1


def test_the_gaussian_of_raw_maps_pools_the_map_itself(x):
    for order in ("before", "after"):
        _, phi, _ = alive(kind="gaussian", pool=2, pool_order=order).project(x)
        torch.testing.assert_close(phi, ops.to_positions(nn.functional.max_pool3d(x, (1, 2, 2))))


def test_repr_tells_the_options():
    text = repr(NonLocal(8, kind="dot", pool=2))
    assert "8, inner=4, kind='dot', scale=None, pool=2, pool_order='after', init='identity'" in text


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"pool": 2}, {"pool": 2, "pool_order": "before"}, {"norm": "affine"}], ids=str)
def test_channels_last_maps_are_served_without_a_copy(training, options):
    """A forward pass has a map for W_z y and in training one for the norm, a backward pass one each and one for x."""
    block = NonLocal(16, init="random", **options).train(training)
    x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    norm, found = training and "norm" not in options, []
    forward = new_maps(lambda: found.append(block(x)), like=x)
    assert forward == (["bmm", "native_batch_norm"] if norm else ["baddbmm"])
    dz = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last)
    pooled = ["new_zeros"] if "pool_order" in options else []
    backward = new_maps(lambda: torch.autograd.grad(found, [x], [dz]), like=x)
    assert sorted(set(backward) - {"add"}) == sorted(
        (["native_batch_norm_backward"] if norm else []) + ["bmm"] + pooled
    )
    assert backward.count("bmm") == 1 and backward.count("add") == 1 + len(pooled)
    for maps in (found[0], torch.autograd.grad(block(x), x, dz)[0]):
        assert maps.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("grid", [(8, 8), (2, 4, 8)])
@pytest.mark.parametrize("training", [True, False])
def test_the_layout_of_a_map_changes_no_number(training, grid):
    block = NonLocal(16, pool=2, init="random").double().train(training)
    x, dz = torch.randn(2, 2, 16, *grid, dtype=torch.float64)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}[x.ndim]
    found = []
    for layout in (torch.contiguous_format, last):
        leaf = x.clone(memory_format=layout).requires_grad_()
        block.zero_grad()
        z = block(leaf)
        z.backward(dz)
        gradients = {name: parameter.grad.clone() for name, parameter in block.named_parameters()}
        found.append({"z": z, "x": leaf.grad, **gradients})
    assert found[1]["z"].is_contiguous(memory_format=last) and found[1]["x"].is_contiguous(memory_format=last)
    for name, expected in found[0].items():
        torch.testing.assert_close(
            found[1][name], expected, rtol=1e-10, atol=1e-10, msg=lambda text, n=name: f"{n} {text}"
        )


def test_another_norm_is_of_the_map_in_every_layout():
    """A group norm of positions as samples would be another function."""
    block = NonLocal(16, init="random").double()
    block.norm = torch.nn.GroupNorm(4, 16).double()
    x = torch.randn(2, 16, 4, 4, dtype=torch.float64)
    expected = block(x)
    torch.testing.assert_close(block(x.to(memory_format=torch.channels_last)), expected, rtol=1e-12, atol=1e-12)


def test_the_backward_pass_keeps_neither_unpooled_keys_nor_the_sum():
    """Of a map: theta and y are half, phi and g an eighth, the places of their maxima a sixteenth, W_z y is a whole."""
    block = NonLocal(16, pool=2, init="random")
    x = torch.randn(2, 16, 8, 8, requires_grad=True)
    small = 4 * (2 * 64 + 2 * 16)  # the logarithms of the denominators, the mean and the deviation of the norm
    assert (
        kept_bytes(lambda: block(x), (x, *block.parameters(), *block.buffers()))
        <= (2 / 2 + 2 / 8 + 2 / 16 + 1) * x.nbytes + small
    )
