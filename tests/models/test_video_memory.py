"""What attention over a whole clip needs: the largest block of the 128-frame network, if it had no groups."""

from functools import partial

import pytest
import torch

import wholeframe as wf
from wholeframe.study.definitions import matrix_of_pairs
from wholeframe.study.race import peak_bytes


@pytest.mark.slow
def test_res3_of_128_frames_needs_a_quarter_of_explicit_attention():
    """16 x 28 x 28 queries, 16 x 14 x 14 keys, 512 channels, 256 inside; forward and backward of one clip."""
    torch.manual_seed(0)
    block = wf.NonLocal.like("caffe2", 512, birth="random")
    clip = torch.randn(1, 512, 16, 28, 28, requires_grad=True)

    def peak(forward):
        def run():
            (2 * forward(clip)).sum().backward()

        clip.grad = None
        block.zero_grad()
        run()  # so that gradients of parameters and clip are there already
        return peak_bytes(run, torch.device("cpu"))

    ours, explicit = peak(block), peak(partial(matrix_of_pairs, block))
    print(
        f"forward and backward: {ours / 2**20:,.0f} MiB, explicit {explicit / 2**20:,.0f} MiB, {explicit / ours:.1f}x"
    )
    assert explicit >= 4 * ours
