"""Packed rows: what the script of a page unpacks, and how far it is from the weights."""

import base64
import zlib

import numpy as np
import pytest

from wholeframe.explain.page.packed import packed, unpacked


def softmax(queries=40, keys=60, spread=4.0, seed=0):
    logits = np.random.default_rng(seed).normal(scale=spread, size=(queries, keys))
    weights = np.exp(logits)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def read(data):
    """The rows, by the steps of the script: inflate, add up the differences, scale each row."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(data["text"])), np.uint8).reshape(-1, data["columns"])
    levels = np.add.accumulate(levels, axis=0, dtype=np.uint8)
    low, high = (np.frombuffer(base64.b64decode(data[side]), "<f4")[:, None] for side in ("low", "high"))
    return unpacked(levels, low, high, data["power"])


CASES = {
    "peaked": softmax(),
    "flat": softmax(spread=0.01),
    "signed": softmax() - softmax(seed=1),
    "negative": -softmax(),
    "equal": np.full((3, 5), 0.2, np.float32),
    "zero": np.zeros((3, 5), np.float32),
    "one key": np.ones((4, 1), np.float32),
    "one row": softmax(1, 700),
    "tiny": softmax() * 1e-30,
    "large": softmax() * 1e30,
}


@pytest.mark.parametrize("name", CASES)
def test_the_stated_errors_are_those_of_what_is_read(name):
    rows = CASES[name].astype(np.float64)
    stored = packed(CASES[name])
    away = abs(read(stored.data) - rows)
    largest = abs(rows).max(axis=1, keepdims=True)
    assert read(stored.data).shape == rows.shape
    assert stored.error == pytest.approx(away.max(), rel=1e-12, abs=0)
    assert stored.share == pytest.approx((away / np.where(largest > 0, largest, 1)).max(), rel=1e-12, abs=0)
    assert stored.share <= 1 / 255


def test_small_weights_of_a_peaked_row_keep_their_size():
    """A step of the square root is finer near zero: a weight of 1e-4 of the largest is not stored as zero."""
    row = np.array([[1.0, 1e-4, 4e-4, 0.0]], np.float32)
    assert read(packed(row).data)[0] == pytest.approx([1, 1e-4, 4e-4, 0], rel=0.5)


def test_a_flat_row_keeps_its_order():
    """A row is stored between its own bounds, so that weights which differ by 1e-5 of their size still differ."""
    row = (1 + np.arange(8) * 1e-5)[None].astype(np.float32)
    assert (np.diff(read(packed(row).data)[0]) > 0).all()


def test_rows_that_are_alike_take_little_room():
    rows = np.repeat(softmax(1, 300), 300, axis=0)
    assert len(packed(rows).data["text"]) < rows.size / 50
