"""torch.func goes through every block: more samples at once, and gradients of every sample by itself.

But one: the RBF of CGNL reads the span of its data back from the device, which no batch of calls can.
"""

import pytest
import torch
from rounding import agree, moved, moves
from torch.func import functional_call, grad, vmap

from wholeframe.blocks import BLOCKS

# gc and snl: their gradient is written for the batch as a whole.
NAMES = [name for name in BLOCKS if name != "cgnl_rbf"]
# Where `auto` would take the definition, as these maps are small.
FAST = {"nl_dot": {"backend": "associative"}, "nl_concatenation": {"backend": "sorted"}}
# torch calls its fused attention once per sample, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")


def test_vmap_is_a_loop(alive, name, x):
    block = alive(**FAST.get(name, {})).eval()
    several = torch.stack([x, x.flip(1), 2 * x])
    expected = torch.stack([block(t) for t in several])
    tolerated = max(moved(block, t) for t in several)
    agree(vmap(block)(several), expected, x[0].numel(), moved=tolerated)
    with torch.no_grad():
        agree(vmap(block)(several), expected, x[0].numel(), moved=tolerated)


def gradients(block, x):
    names, parameters = zip(*block.named_parameters(), strict=True)
    found = torch.autograd.grad(block(x).square().sum(), parameters, materialize_grads=True)
    return dict(zip(names, found, strict=True))


def test_gradients_of_every_sample(alive, name, x):
    """Of all parameters, at once: what differential privacy and influence functions ask for."""
    block = alive(**FAST.get(name, {})).eval()
    parameters, buffers = dict(block.named_parameters()), dict(block.named_buffers())

    def loss(parameters, sample):
        return functional_call(block, (parameters, buffers), (sample[None],)).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))({k: p.detach() for k, p in parameters.items()}, x)
    for index, sample in enumerate(x):
        move = moves(gradients, block, sample[None])
        block.zero_grad()
        block(sample[None]).square().sum().backward()
        for name, parameter in parameters.items():
            agree(found[name][index], parameter.grad, x[0].numel(), moved=move[name], what=name)


def test_the_rbf_says_what_to_do_instead():
    block = BLOCKS["cgnl_rbf"].make(8, groups=2)
    with pytest.raises(ValueError, match="vmap cannot do: put the mapped dimension into the batch"):
        vmap(block)(torch.randn(3, 2, 8, 5))
