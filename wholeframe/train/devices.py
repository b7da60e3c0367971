"""Where a training runs: how many processes, on what, and how they are kept together."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from wholeframe.train.recipe import Recipe


@dataclass(frozen=True)
class Machines:
    """No part of a recipe: the batch of a recipe is that of all devices together, which share it.

    So a network without batch norm, or with `sync_bn`, learns the same on any number of devices; dropout aside, whose
    random numbers are each device's own.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = "auto"
    """what computes; auto takes what is there"""
    devices: int = 1
    """processes on this machine, a device each"""
    nodes: int = 1
    """machines; start the same command on each, as torchrun or SLURM do"""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """ddp: a whole network per device; fsdp: parameters spread over the devices; auto: ddp where there are several"""
    sync_bn: bool = False
    """batch norm over the samples of all devices (GPUs only); otherwise over each device's own"""

    def __post_init__(self):
        if self.devices < 1 or self.nodes < 1:
            raise ValueError(f"devices={self.devices} and nodes={self.nodes}: both count from 1")

    @property
    def ranks(self) -> int:
        """Processes in all."""
        return self.devices * self.nodes

    def refuse(self, recipe: Recipe, tested: int) -> None:
        """ValueError for what these machines cannot train or test."""
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError("accelerator='gpu', and torch finds no GPU here; leave it 'auto', or 'cpu'")
        gpu = self.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        if gpu and self.devices > torch.cuda.device_count():
            raise ValueError(f"devices={self.devices}, and this machine has {torch.cuda.device_count()} GPUs")
        if recipe.data.batch % self.ranks:
            near = max(recipe.data.batch // self.ranks, 1) * self.ranks
            raise ValueError(
                f"a batch of {recipe.data.batch} cannot be shared evenly by {self.ranks} devices; --batch is that of "
                f"all of them together: give {near}"
            )
        if tested < self.ranks:
            raise ValueError(f"{tested} samples to test on are fewer than the {self.ranks} devices that share them")
        if self.sync_bn and not gpu:
            raise ValueError(
                "sync_bn takes GPUs: torch synchronises batch norm on no CPU; leave it out, or take a network with "
                "another norm"
            )
        if self.strategy == "fsdp" and not gpu:
            raise ValueError("strategy='fsdp' takes GPUs; give ddp")
        if self.strategy == "fsdp" and recipe.schedule.clip is not None:
            raise ValueError(
                f"clip={recipe.schedule.clip} needs the norm of all gradients, which Lightning does not compute under "
                "fsdp; give --clip None, or --strategy ddp"
            )

    def options(self) -> dict[str, Any]:
        """Arguments of Lightning's Trainer."""
        return {
            "accelerator": self.accelerator,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": self.strategy,
            "use_distributed_sampler": False,  # our loaders share by themselves, without repeating samples
        }


def is_first() -> bool:
    """Whether this process is the one that talks and writes: of several, Lightning starts all but the first."""
    return getattr(rank_zero_only, "rank", 0) == 0
