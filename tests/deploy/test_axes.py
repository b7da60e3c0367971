"""Free axes are found by running the network, not by its kind."""

import pytest
import torch
from torch import nn

from wholeframe.deploy.axes import free_axes


class Takes(nn.Module):
    """A network that refuses some shapes."""

    def __init__(self, takes):
        super().__init__()
        self.takes = takes

    def forward(self, x):
        if not self.takes(*x.shape):
            raise ValueError("this shape is not taken\nmore")
        return x


@pytest.mark.parametrize(
    ("takes", "shape", "written"),
    [
        (lambda *_: True, (1, 3, 64, 64), ["batch", 3, "height", "width"]),
        (lambda *_: True, (1, 3, 5), ["batch", 3, "length"]),
        (lambda *_: True, (1, 3, 4, 64, 64), ["batch", 3, "time", "height", "width"]),
        (lambda b, c, h, w: h % 32 == 0 == w % 32, (1, 3, 64, 32), ["batch", 3, "height", "width"]),
        (lambda b, c, t, h, w: t == 8, (1, 3, 8, 64, 64), ["batch", 3, 8, "height", "width"]),
        (lambda b, c, h, w: b == 2, (2, 3, 64, 64), [2, 3, "height", "width"]),
        (lambda b, c, h, w: h == w, (1, 3, 64, 64), ["batch", 3, 64, 64]),
        (lambda b, c, t, h, w: t >= 8 and w >= 64, (1, 3, 8, 64, 96), ["batch", 3, "time", "height", "width"]),
        (lambda b, c, h, w: h <= 128 and w != 96, (1, 3, 128, 64), ["batch", 3, "height", 64]),
    ],
)
def test_what_the_network_takes_is_free(takes, shape, written):
    free = free_axes(Takes(takes), torch.randn(shape))
    assert free.written == written and all(takes(*each) for each in free.shapes)
    for place, size in enumerate(written):
        sizes = {each[place] for each in free.shapes}
        assert len(sizes) == (1 if isinstance(size, int) else 2 if size == "batch" else 3)
    assert all("ValueError: this shape is not taken)" in reason for reason in free.fixed.values())


def test_axes_that_only_change_alone_are_refused():
    with pytest.raises(ValueError, match=r"every axis .* can change alone, but the network does not take"):
        free_axes(
            Takes(lambda b, c, h, w: (h, w) == (64, 64) or (64 in (h, w) and b == 1) or (b > 1 and h == w == 64)),
            torch.randn(1, 3, 64, 64),
        )
