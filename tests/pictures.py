"""Pictures that a test reads again."""

import numpy as np
from PIL import Image


def drawn(file):
    """The pixels of a picture that is a PNG and not blank."""
    with Image.open(file) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).astype(float)
    assert pixels.std() > 10, "the picture is blank"
    return pixels
