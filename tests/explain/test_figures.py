"""Figures are written as PNG and are not blank."""

import numpy as np
import pytest
import torch
from PIL import Image

from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import draw_accuracy, draw_attention

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def drawn(file):
    """The pixels of a picture that is a PNG and not blank."""
    with Image.open(file) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).astype(float)
    assert pixels.std() > 10, "the picture is blank"
    return pixels


def attention(weights, site="layer3.4"):
    return Attention(site, "NonLocal", (1, 1), weights)


def softmax(rows=6, columns=8, seed=0):
    return torch.randn(rows * columns, generator=torch.Generator().manual_seed(seed)).softmax(dim=0).view(rows, columns)


def test_attention_is_drawn(tmp_path):
    draw_attention(PHOTO, (10, 20), [attention(softmax())], tmp_path / "a.png")
    pixels = drawn(tmp_path / "a.png")
    colourful = (pixels.max(axis=2) - pixels.min(axis=2)).std()
    assert pixels.shape[1] > pixels.shape[0] and colourful > 10


def test_a_panel_per_block(tmp_path):
    draw_attention(PHOTO, (10, 20), [attention(softmax())], tmp_path / "one.png")
    draw_attention(PHOTO, (10, 20), [attention(softmax()), attention(softmax(), "layer2")], tmp_path / "two.png")
    assert drawn(tmp_path / "two.png").shape[1] > 1.3 * drawn(tmp_path / "one.png").shape[1]


def test_other_weights_and_other_queries_look_different(tmp_path):
    for name, query, seed in (("a", (10, 20), 0), ("b", (10, 20), 1), ("c", (40, 50), 0)):
        draw_attention(PHOTO, query, [attention(softmax(seed=seed))], tmp_path / f"{name}.png", title="same")
    a, b, c = (drawn(tmp_path / f"{name}.png") for name in "abc")
    assert a.shape != b.shape or (a != b).any()
    assert a.shape != c.shape or (a != c).any()


@pytest.mark.parametrize(
    "weights",
    [
        torch.linspace(-1, 1, 48).view(6, 8),  # nl_dot has no softmax
        -softmax(),
        torch.zeros(6, 8),
        torch.ones(1, 1),
        softmax() * 1e-12,
    ],
    ids=["signed", "negative", "zero", "one cell", "tiny"],
)
def test_weights_of_every_kind(tmp_path, weights):
    draw_attention(PHOTO, (0, 0), [attention(weights)], tmp_path / "a.png")
    drawn(tmp_path / "a.png")


@pytest.mark.parametrize("shape", [(8, 300, 3), (300, 8, 3), (1, 1, 3)])
def test_photographs_of_every_shape(tmp_path, shape):
    photo = np.full(shape, 128, dtype=np.uint8)
    draw_attention(photo, (0, 0), [attention(softmax())], tmp_path / "a.png")
    drawn(tmp_path / "a.png")


@pytest.mark.parametrize(
    "accuracy",
    [
        {"gist": {"none": (0.5,)}},
        {"gist": {"none": (0.5, 0.6), "nl": (0.9, 1.0)}, "recall": {"none": (0.5, 0.5), "nl": (0.0, 1.0)}},
        {"gist": {f"block {index}": (index / 20,) for index in range(15)}},
    ],
    ids=["one bar", "two tasks, two seeds", "more blocks than colours"],
)
def test_accuracy_is_drawn(tmp_path, accuracy):
    draw_accuracy(accuracy, tmp_path / "a.png")
    drawn(tmp_path / "a.png")
