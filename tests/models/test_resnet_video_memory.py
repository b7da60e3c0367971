"""Memory of attention over a whole clip: the largest block of the 128-frame network, without its groups."""

import pytest
import torch

from wholeframe.models.measure import peak_bytes
from wholeframe.models.zoo.video_assembly import NL_FROZEN


@pytest.mark.slow
def test_res3_of_128_frames_needs_a_quarter_of_explicit_attention():
    """16 x 28 x 28 queries, 16 x 14 x 14 keys, 512 channels, 256 inside; forward and backward of one clip."""
    torch.manual_seed(0)
    clip = torch.randn(1, 512, 16, 28, 28, requires_grad=True)

    def peak(backend):
        block = NL_FROZEN(512, init="random", backend=backend)

        def run():
            clip.grad = None
            block.zero_grad()
            block(clip).sum().backward()

        run()  # gradients exist before the measured run, as in every step but the first
        return peak_bytes(run, torch.device("cpu")) / 2**20

    ours, explicit = peak("auto"), peak("dense")
    print(f"forward and backward: {ours:,.0f} MiB, with explicit weights {explicit:,.0f} MiB, {explicit / ours:.1f}x")
    assert explicit >= 4 * ours
