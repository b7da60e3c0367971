"""Tools that change a layer of a block: the block calls the layer, so hooks, adapters and parametrisations act."""

import copy

import pytest
import torch
from rounding import agree, moved
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from wholeframe.blocks import (
    BAT,
    BLOCKS,
    CBAM,
    AttentionContext,
    ContextBlock,
    IdentityTransform,
    NonLocal,
    reset_blocks,
)
from wholeframe.blocks.frozen_norm import Affine
from wholeframe.blocks.grouped import GroupedLinear
from wholeframe.blocks.gsop_fusion import GSoP
from wholeframe.blocks.isqrt import ISqrtCov
from wholeframe.blocks.plain import plain

C = 32
MAKERS = {name: entry.make for name, entry in BLOCKS.items()} | {
    "nl_pooled_before": lambda c: NonLocal(c, pool=2, pool_order="before", norm="affine"),
    "nl_gaussian_pooled": lambda c: NonLocal(c, kind="gaussian", pool=2, norm=None),
    "nl_concatenation_pooled": lambda c: NonLocal(c, kind="concatenation", pool=2, concatenation_bias=True),
    "nl_space": lambda c: NonLocal(c, attend_over="space"),
    "gc_heads": lambda c: ContextBlock(
        c,
        context=lambda c: AttentionContext(c, heads=4, scale="sqrt_dim"),
        transform=IdentityTransform,
        init="random",
    ),
    "cgnl_bn": lambda c: BLOCKS["cgnl"].make(c, norm="bn", scale="sqrt_length"),
    "bat": BAT,
    "cbam": CBAM,
    "gsop_concat": lambda c: GSoP(c, fusion="concat", groups=4, kernel=3),
    "isqrt": ISqrtCov,
}
KINDS = nn.Linear, nn.Conv1d, nn.Conv2d, GroupedLinear, nn.BatchNorm1d, nn.GroupNorm, nn.LayerNorm, Affine
PROJECTIONS = nn.Linear, nn.Conv1d, nn.Conv2d, GroupedLinear


def alive(name):
    """A block in float64 every weight of which matters, in evaluation so that two passes see the same norms."""
    torch.manual_seed(0)
    block = MAKERS[name](C).double()
    with torch.no_grad():
        for tensor in block.parameters():
            tensor.copy_(torch.randn_like(tensor) * 0.3 + (tensor.ndim == 1) * 0.5)
        for tensor in (b for b in block.buffers() if b.is_floating_point()):
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return block.eval()


def map_of(name):
    torch.manual_seed(1)
    return torch.randn(2, C, *((14, 14) if name == "bat" else (6, 6)), dtype=torch.float64)


def layers_of(block, kinds=KINDS):
    return [name for name, layer in block.named_modules() if isinstance(layer, kinds)]


CASES = [(name, layer) for name in MAKERS for layer in layers_of(MAKERS[name](C))]
PROJECTED = [(name, layer) for name in MAKERS for layer in layers_of(MAKERS[name](C), PROJECTIONS)]


def replace(block, name, layer):
    parent, _, child = name.rpartition(".")
    setattr(block.get_submodule(parent), child, layer)


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_a_hook_that_doubles_a_layer_doubles_it(name, layer):
    """The plain path with doubled weights is the definition; outputs and the gradients of the map are compared."""
    block, x = alive(name), map_of(name).requires_grad_()
    doubled, fired = copy.deepcopy(block), []
    with torch.no_grad():
        for key, tensor in doubled.get_submodule(layer).state_dict(keep_vars=True).items():
            if key in ("weight", "bias"):
                tensor.mul_(2)
    block.get_submodule(layer).register_forward_hook(lambda module, args, y: (fired.append(1), 2 * y)[1])
    actual, expected = block(x), doubled(x)
    assert fired
    # Both gates of BAT and the root of ISqrtCov divide, so one rounding of the map moves the output by many.
    agree(actual, expected, 4 * C * 36, moved=moved(doubled, x))
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (actual, expected)]
    agree(*gradients, 64 * C * 36, moved=moved(doubled, x))


@pytest.mark.parametrize("name", MAKERS)
def test_every_layer_called_is_the_plain_block_by_every_gradient(name):
    block, x = alive(name), map_of(name)
    called = copy.deepcopy(block)
    for layer in layers_of(called):
        called.get_submodule(layer).register_forward_hook(lambda module, args, y: None)
    outcomes = []
    for one in (called, block):
        y = one(x)
        y.square().sum().backward()
        outcomes.append((y, {key: p.grad for key, p in one.named_parameters()}))
    (actual, gradients), (expected, wanted) = outcomes
    agree(actual, expected, 4 * C * 36, moved=moved(block, x))
    for key, gradient in wanted.items():
        if gradient is None:
            assert gradients[key] is None, key
        else:
            agree(gradients[key], gradient, 4096 * C, scale=1.0, what=key)


CHANGES = {
    "spectral_norm": parametrizations.spectral_norm,
    "old_spectral_norm": spectral_norm,
    "weight_norm": parametrizations.weight_norm,
    "prune": lambda layer: prune.random_unstructured(layer, "weight", amount=0.3),
    "old_weight_norm": weight_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", MAKERS)
def test_changed_weights_train_for_several_steps(name, change):
    block, x = alive(name).train(), map_of(name)
    for layer in layers_of(block, PROJECTIONS):
        CHANGES[change](block.get_submodule(layer))
    before = {key: p.detach().clone() for key, p in block.named_parameters()}
    optimiser = torch.optim.SGD(block.parameters(), lr=1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        block(x).square().sum().backward()
        for key, p in block.named_parameters():
            assert p.grad is not None, key
        nn.utils.clip_grad_norm_(block.parameters(), 1.0)
        optimiser.step()
    assert before
    assert "inf" not in repr(block) and block.multiply_adds(x.shape[2:]) == MAKERS[name](C).multiply_adds(x.shape[2:])
    if layers_of(block, PROJECTIONS):
        with pytest.raises(ValueError, match="whose weight is computed, replaced or quantised"):
            block.reset_parameters()


class LowRank(nn.Module):
    """A layer with an adapter of rank 2, which starts at zero."""

    def __init__(self, base):
        super().__init__()
        self.base, out, wide = base, base.out_features, base.in_features
        self.down = nn.Linear(wide, 2, bias=False, dtype=torch.float64)
        self.up = nn.Linear(2, out, bias=False, dtype=torch.float64)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


LINEAR = [(name, layer) for name in MAKERS for layer in layers_of(MAKERS[name](C), nn.Linear)]


@pytest.mark.parametrize(("name", "layer"), LINEAR)
def test_an_adapter_starts_as_the_block_and_trains(name, layer):
    block, x = alive(name), map_of(name)
    adapted = copy.deepcopy(block)
    adapter = LowRank(adapted.get_submodule(layer))
    replace(adapted, layer, adapter)
    agree(adapted(x), block(x), 4 * C * 36, moved=moved(block, x))
    nn.init.normal_(adapter.up.weight)
    y = adapted(x)
    assert not torch.allclose(y, block(x))
    # A layer norm or softmax ignores constants, so a random weighting of the output is differentiated.
    (y * torch.randn_like(y)).sum().backward()
    assert adapter.up.weight.grad.abs().max() > 0 and adapter.down.weight.grad.abs().max() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", MAKERS)
def test_a_dynamically_quantised_block_runs_near_the_float_one(name):
    block, x = alive(name).float(), map_of(name).float()
    quantised = torch.ao.quantization.quantize_dynamic(block, {nn.Linear}, dtype=torch.qint8)
    actual, expected = quantised(x), block(x)
    assert (actual - expected).norm() <= 0.2 * expected.norm()
    assert quantised.multiply_adds(x.shape[2:]) == block.multiply_adds(x.shape[2:])
    assert repr(quantised)


@pytest.mark.parametrize("name", [name for name in MAKERS if getattr(MAKERS[name](C), "has_attention", False)])
def test_attention_calls_changed_layers(name):
    block, x = alive(name), map_of(name)
    called = copy.deepcopy(block)
    for layer in layers_of(called):
        called.get_submodule(layer).register_forward_hook(lambda module, args, y: None)
    agree(called.attention(x, [0, 5]), block.attention(x, [0, 5]), 4 * C * 36, moved=1e-13)


def test_a_hook_on_the_context_fires():
    block, fired = BLOCKS["gc"].make(C), []
    block.context.register_forward_hook(lambda *_: fired.append(1))
    block(torch.randn(1, C, 3, 3))
    assert fired


def test_a_replaced_forward_is_called():
    """As accelerate replaces it."""
    block, fired = NonLocal(C), []
    forward = block.g.forward
    block.g.forward = lambda x: (fired.append(1), forward(x))[1]
    block(torch.randn(1, C, 3, 3))
    assert fired


class Half(torch.Tensor):
    """A tensor subclass, as quantised weights are."""


def test_what_is_plain():
    linear = nn.Linear(2, 2)
    assert plain(linear, None, nn.BatchNorm1d(2), nn.GroupNorm(1, 2), Affine(2), GroupedLinear(2, 2, 1))
    assert not plain(nn.Sequential(linear)) and not plain(nn.Linear(2, 2), nn.Identity())
    subclass = nn.Linear(2, 2)
    subclass.weight = nn.Parameter(torch.randn(2, 2).as_subclass(Half))
    assert not plain(subclass)
    handle = linear.register_full_backward_hook(lambda *_: None)
    assert not plain(linear)
    handle.remove()
    assert plain(linear)


def test_gram_with_a_changed_layer_is_refused():
    block = NonLocal(C, kind="dot", backend="gram")
    block.out.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="take backend='auto'"):
        block(torch.randn(1, C, 3, 3))


def test_reset_blocks_works_with_hooks():
    block = NonLocal(C)
    block.out.register_forward_hook(lambda *_: None)
    assert reset_blocks(block) == [""]
