"""For all tests: one thread, and folders of tiny images."""

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Maps of a few numbers: starting threads would take longer than the work."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_photos():
    """`make_photos(root, classes, count, side)`: a folder per class of noisy PNGs, each class with a hue of its own."""

    def make(root, classes=("cat", "dog"), count=12, side=16):
        draw = np.random.default_rng(0)
        for label, name in enumerate(classes):
            (root / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
                pixels[..., label % 3] //= 4
                Image.fromarray(pixels).save(root / name / f"{number:02}.png")
        return root

    return make
