"""The grid of a comparison: arms, each trained under every seed."""

from collections.abc import Iterable
from dataclasses import dataclass

from wholeframe.models.build import ModelConfig

Key = tuple[str, str, int]
"""Task, arm and seed."""


@dataclass(frozen=True)
class Arm:
    """One network of a comparison: a host with a block at its sites, or the bare host.

    Args:
        task: what the network learns: an embedded task, or the name of a folder of images.
        name: of the arm within its task, such as `nl_dot`, or `small_c2d, nl at layer3.4`.
        model: host, block, sites and options of the block.
    """

    task: str
    name: str
    model: ModelConfig

    @property
    def bare(self) -> bool:
        """Whether the host has no inserted block."""
        return self.model.block is None


@dataclass(frozen=True)
class Training:
    """An arm under one seed, which decides the initial weights, the samples and their order."""

    arm: Arm
    seed: int

    @property
    def key(self) -> Key:
        """Task, arm and seed: the first columns of `results.csv`."""
        return self.arm.task, self.arm.name, self.seed


def grid(arms: Iterable[Arm], seeds: int) -> list[Training]:
    """Every arm under the seeds 0, 1, ...: task by task, and seed by seed within a task.

    An arm that is listed twice, as the baseline of several tables is, is trained once.

    Raises:
        ValueError: two different networks have the same name.
    """
    tasks: dict[str, dict[str, Arm]] = {}
    for arm in arms:
        if tasks.setdefault(arm.task, {}).setdefault(arm.name, arm) != arm:
            raise ValueError(f"two networks on {arm.task!r} have the name {arm.name!r}; give each another name")
    return [Training(arm, seed) for named in tasks.values() for seed in range(seeds) for arm in named.values()]


def baselines(arms: Iterable[Arm]) -> dict[str, str]:
    """The baseline of every task that has one: its first arm without a block."""
    found: dict[str, str] = {}
    for arm in arms:
        if arm.bare:
            found.setdefault(arm.task, arm.name)
    return found
