"""Time and memory of passes on this machine, of several networks in turns.

A machine is not equally fast all the time. Networks that run one after the other, again and again, meet the same
conditions: the ratio of their times within a turn says more than two times on their own.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from wholeframe.models.measure import peak_bytes, seconds
from wholeframe.surgery.probe import evaluating

Kind = Literal["inference", "training step"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one kind of pass in every turn, and its peak memory in MiB.

    The memory is above weights, their gradients and the input, according to the allocator.
    """

    ms: tuple[float, ...]
    mib: float


@dataclass(frozen=True)
class Interval:
    """A median, and two of the values, which enclose the median of all further ones with this probability."""

    median: float
    low: float
    high: float
    probability: float


def in_turns(
    networks: Mapping[str, nn.Module], example: Tensor, turns: int = 9, kinds: Sequence[Kind] = KINDS
) -> dict[str, dict[Kind, Measured]]:
    """Time and peak memory of inference, and of a training step: forward in training mode, and backward.

    Every network runs once to warm up, once per turn for the time, in the opposite order in every second turn, and once
    for the memory. The training step moves running statistics and leaves gradients; no optimiser runs.

    Args:
        networks: each under a name, all on the device of the example.
        example: one batch.
        turns: how often each is timed.
        kinds: of passes; a fused network has inference alone.

    Returns:
        For each network, these kinds of passes.

    Raises:
        ValueError: if a network has no parameters to train.
    """
    found: dict[str, dict[Kind, Measured]] = {name: {} for name in networks}
    for kind in kinds:
        runs = {name: _pass(kind, network, example) for name, network in networks.items()}
        for run in runs.values():
            run()
        times: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(turns):
            for name in runs if turn % 2 == 0 else reversed(runs):
                times[name].append(1000 * seconds(runs[name], example.device))
        for name, run in runs.items():
            found[name][kind] = Measured(tuple(times[name]), peak_bytes(run, example.device) / 2**20)
    return found


def ratio(time: Measured, base: Measured) -> Interval:
    """How long a pass takes in times of another one, turn by turn."""
    return interval([ours / theirs for ours, theirs in zip(time.ms, base.ms, strict=True)])


def interval(values: Sequence[float]) -> Interval:
    """The closest two ordered values, equally far from both ends, that enclose the median with 0.95 or more.

        P(x_k <= median <= x_(n+1-k)) = 1 - 2 sum_(i<k) C(n, i) / 2^n

    Few values have no such pair; then it is the smallest and the largest, with their probability. It holds for values
    that do not depend on each other, of any distribution.
    """
    ordered, n = sorted(values), len(values)

    def enclosed(k: int) -> float:
        return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n

    k = max((k for k in range(1, n // 2 + 1) if enclosed(k) >= 0.95), default=1)
    return Interval(statistics.median(ordered), ordered[k - 1], ordered[n - k], enclosed(k))


def _pass(kind: Kind, network: nn.Module, example: Tensor) -> Callable[[], None]:
    def inference() -> None:
        with evaluating(network), torch.no_grad():
            network(example)

    def training() -> None:
        leaves = pytree.tree_leaves(network.train()(example))
        trained = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad]
        if not trained:
            raise ValueError("no output of the network depends on a parameter that trains: it has no training step")
        torch.autograd.backward([leaf.sum() for leaf in trained])

    return inference if kind == "inference" else training
