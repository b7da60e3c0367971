"""Rows of weights as text: 8 bits per weight, between the smallest and the largest weight of its row."""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVELS = 255


@dataclass(frozen=True)
class Packed:
    """Rows of weights as text, and the measured distance between the stored and the exact weights.

    Attributes:
        data: what the script of the page unpacks: the levels, the smallest and the largest weight of each row, the
            number of columns and the power.
        error: the largest absolute difference.
        share: the largest difference as a share of the largest magnitude of its row.
    """

    data: dict[str, Any]
    error: float
    share: float


def packed(rows: np.ndarray) -> Packed:
    """Store rows of weights `(rows, columns)` with one byte each.

    A weight is `low + (high - low) * (level / 255)^power`. The power is 2 for weights of one sign, which gives small
    weights finer steps (one row of a softmax spans many orders of magnitude), and 1 for signed ones. Each row of levels
    is stored as its difference to the row before, modulo 256, and deflated: neighbouring queries have similar rows.
    """
    rows = rows.astype(np.float32)
    signed = bool((rows < 0).any())
    power = 1 if signed else 2
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1)
    levels = np.round(LEVELS * ((rows - low) / span) ** (1 / power)).astype(np.uint8)
    errors = abs(unpacked(levels, low, high, power) - rows)
    differences = np.diff(levels, axis=0, prepend=np.zeros_like(levels[:1]))  # uint8 wraps around.
    data = {
        "text": _text(zlib.compress(differences.tobytes(), level=9)),
        "low": _text(low.astype("<f4").tobytes()),
        "high": _text(high.astype("<f4").tobytes()),
        "columns": rows.shape[1],
        "power": power,
    }
    largest = abs(rows).max(axis=1, keepdims=True)
    return Packed(data, float(errors.max()), float((errors / np.where(largest > 0, largest, 1)).max()))


def unpacked(levels: np.ndarray, low: np.ndarray, high: np.ndarray, power: int) -> np.ndarray:
    """The weights `(rows, columns)` of levels from 0 to 255, in float64, as the script of the page computes them."""
    low, high = low.astype(np.float64), high.astype(np.float64)
    return low + (high - low) * (levels / LEVELS) ** power


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
