"""Run lengths as lists and as text: what is a mask of an image."""

import numpy as np
import pytest

from wholeframe.data.detection.run_lengths import why_not_run_lengths

mask = pytest.importorskip("faster_coco_eval.core", reason="masks need faster-coco-eval").mask


def encoded(pixels):
    return {**(code := mask.encode(np.asfortranarray(pixels))), "counts": code["counts"].decode()}


@pytest.mark.parametrize("seed", range(8))
def test_what_the_encoder_writes_is_a_mask(seed):
    """Text of masks with many and with long runs; the image is taller than wide."""
    draw = np.random.default_rng(seed)
    pixels = (draw.random((47, 31)) < (0.5, 0.02, 0.98)[seed % 3]).astype(np.uint8)
    code = encoded(np.kron(pixels, np.ones((1, seed + 1), np.uint8)))
    assert why_not_run_lengths(code, 31 * (seed + 1), 47) is None
    assert why_not_run_lengths(code, 47, 31 * (seed + 1)) == "of another size than its image"


def test_damaged_text_is_refused():
    pixels = np.zeros((40, 30), np.uint8)
    pixels[5:30, 4:25] = 1
    code = encoded(pixels)
    text = code["counts"]
    for end in range(len(text)):
        assert why_not_run_lengths({**code, "counts": text[:end]}, 30, 40)
    for wrong in (text + "1", "\n" + text, "z" * 40):
        assert why_not_run_lengths({**code, "counts": wrong}, 30, 40)
    assert why_not_run_lengths(encoded(0 * pixels), 30, 40) == "without a pixel"
