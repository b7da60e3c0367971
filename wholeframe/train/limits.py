"""Checks of a recipe's numbers; every error names the given value, the bound and a usual value."""

import math


def at_least(name: str, value: float, least: float, usual: object) -> None:
    """ValueError unless `value` is a finite number, `least` or more."""
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} must be at least {least:g}, got {value} ({usual} is usual)")


def positive(name: str, value: float, usual: object) -> None:
    """ValueError unless `value` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value} ({usual} is usual)")


def between(name: str, value: float, low: float, high: float, usual: object) -> None:
    """ValueError unless low < value < high."""
    if not low < value < high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g}, got {value} ({usual} is usual)")


def fraction(name: str, value: float, usual: object) -> None:
    """ValueError unless 0 < value <= 1."""
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be above 0 and at most 1, got {value} ({usual} is usual)")
