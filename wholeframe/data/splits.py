"""Which samples are for training, for validation and for the final test.

The weights are fitted to `train`. `val` is looked at while training: the best checkpoint is chosen on it. `test` holds
data on which no choice is made, so it is empty unless a data set has all three.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing")

WHOLE = "not divided into splits"
"""How the splits of data were made that gives none and was opened to be evaluated as a whole."""


def refuse_fraction(val_fraction: float) -> None:
    """Raise a ValueError for a part that would hold out nothing, or everything."""
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction={val_fraction} is not between 0 and 1; 0.2 holds out a fifth")


def held_out(root: Path, files: Sequence[Path], fraction: float, seed: int) -> set[Path]:
    """The part of two or more files to validate on: at least one, never all, chosen by `seed` and their paths alone."""

    def rank(file: Path) -> bytes:
        return hashlib.sha256(f"{seed}:{file.relative_to(root).as_posix()}".encode()).digest()

    count = min(max(round(fraction * len(files)), 1), len(files) - 1)
    return set(sorted(files, key=rank)[:count])


def sizes(train: Sequence[object], val: Sequence[object], test: Sequence[object]) -> str:
    """`8 train and 2 val`, or `8 train, 2 val and 2 test`."""
    if test:
        return f"{len(train)} train, {len(val)} val and {len(test)} test"
    return f"{len(train)} train and {len(val)} val"


def validated_on(name: str) -> str:
    """The warning for a data set whose only other split is called a test split."""
    return f"validated on {name}: the best checkpoint is then chosen on it"
