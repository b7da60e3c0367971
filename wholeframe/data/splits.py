"""Which samples are for training, for validation and for the final test.

The weights are fitted to `train`. `val` is looked at while training: the best checkpoint is chosen on it. `test` holds
data on which no choice is made, so it is empty unless a data set has all three.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from wholeframe.messages import shown

TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")
TEST_NAMES = ("test", "testing")

WHOLE = "not divided into splits"
"""How the splits of data were made that gives none and was opened to be evaluated as a whole."""

UNEQUAL = 4
"""Times that the largest class is larger than the smallest, from which `imbalance` says so."""


def refuse_fraction(val_fraction: float) -> None:
    """Raise a ValueError for a part that would hold out nothing, or everything."""
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction={val_fraction} is not between 0 and 1; 0.2 holds out a fifth")


def held_out(root: Path, files: Sequence[Path], fraction: float, seed: int) -> set[Path]:
    """The part of two or more files to validate on: at least one, never all, chosen by `seed` and their paths alone."""

    def rank(file: Path) -> bytes:
        name = f"{seed}:{file.relative_to(root).as_posix()}"
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()  # A name may hold any bytes.

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


def imbalance(classes: Sequence[str], labels: Mapping[str, Sequence[int]]) -> str:
    """The warning for very unequal classes, with the samples of the largest and the smallest; empty for equal ones.

    Args:
        classes: the names of the classes.
        labels: the label of every sample, by split.
    """
    count = Counter(label for of_split in labels.values() for label in of_split)
    if not count:
        return ""
    (most, large), (least, small) = max(count.items(), key=_second), min(count.items(), key=_second)
    if large < UNEQUAL * small:
        return ""
    of_splits = {name: Counter(of_split) for name, of_split in labels.items() if of_split}
    each = "; ".join(f"{name} {counts[most]} and {counts[least]}" for name, counts in of_splits.items())
    return (
        f"the classes are unequal: {large} of '{shown(classes[most])}' and {small} of '{shown(classes[least])}' "
        f"({each}), so that an accuracy says little about the small ones"
    )


def _second(pair: tuple[int, int]) -> int:
    return pair[1]
