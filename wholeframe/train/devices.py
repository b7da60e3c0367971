"""The devices of a training: how many processes, on which hardware, and how they are kept in step."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from wholeframe.train.limits import at_least
from wholeframe.train.recipe import Recipe


@dataclass(frozen=True)
class Devices:
    """Number and kind of devices. Not part of a recipe: all devices together share its batch.

    So a network without batch norm, or with `sync_bn`, learns the same on any number of devices. The random numbers of
    dropout differ, because each device has its own.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = "auto"
    """hardware to compute on; auto takes an accelerator if there is one"""
    devices: int = 1
    """processes on this machine, one device each"""
    nodes: int = 1
    """machines; start the same command on each of them, as torchrun or SLURM do"""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """ddp: a complete network per device; fsdp: parameters spread over the devices; auto: ddp for several devices"""
    sync_bn: bool = False
    """batch norm over the samples of all devices (GPUs only), instead of over those of each device"""

    def __post_init__(self):
        at_least("devices", self.devices, 1, 1)
        at_least("nodes", self.nodes, 1, 1)

    @property
    def ranks(self) -> int:
        """Number of processes."""
        return self.devices * self.nodes

    def refuse(self, recipe: Recipe, validated: int) -> None:
        """ValueError if these devices cannot train the recipe, or share `validated` samples of the validation split."""
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise ValueError(
                "accelerator='gpu', but torch finds no GPU on this machine; give --accelerator auto or cpu"
            )
        gpu = self.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        if gpu and self.devices > torch.cuda.device_count():
            raise ValueError(f"devices={self.devices}, but this machine has {torch.cuda.device_count()} GPUs")
        on_cpu = self.accelerator == "cpu" or (self.accelerator == "auto" and not torch.accelerator.is_available())
        if recipe.precision == "16-mixed" and on_cpu:
            raise ValueError(
                "precision='16-mixed' needs an accelerator, and Lightning would take bf16 on this CPU; give "
                "--precision bf16-mixed"
            )
        if recipe.data.batch % self.ranks:
            near = max(recipe.data.batch // self.ranks, 1) * self.ranks
            raise ValueError(
                f"{self.ranks} devices cannot share a batch of {recipe.data.batch} evenly; --batch counts the samples "
                f"of all devices together: give {near}"
            )
        if validated < self.ranks:
            raise ValueError(
                f"{self.ranks} devices cannot share {validated} validation samples, fewer than one each; give "
                f"--devices {max(validated, 1)} or less"
            )
        if self.sync_bn and not gpu:
            raise ValueError(
                "sync_bn needs GPUs, because torch cannot synchronise batch norm on a CPU; leave it out, or take a "
                "network with another norm"
            )
        if self.strategy == "fsdp" and not gpu:
            raise ValueError("strategy='fsdp' needs GPUs; give --strategy ddp")
        if self.strategy == "fsdp" and recipe.schedule.clip is not None:
            raise ValueError(
                f"clip={recipe.schedule.clip} needs the norm of all gradients, which Lightning does not compute under "
                "fsdp; give --clip None, or --strategy ddp"
            )

    def options(self) -> dict[str, Any]:
        """The arguments of Lightning's Trainer."""
        return {
            "accelerator": self.accelerator,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": self.strategy,
            "use_distributed_sampler": False,  # Our loaders give each process its share, without repeating samples.
        }


def is_first() -> bool:
    """Whether this process prints and writes. Lightning starts all other processes of a training."""
    return getattr(rank_zero_only, "rank", 0) == 0
