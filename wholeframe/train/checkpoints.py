"""Checkpoints of a run: written as a whole, verified by their checksums, read without running code in them.

A checkpoint is a zip archive, in which every tensor has a CRC-32; a flipped bit anywhere in it is found before it is
loaded.
"""

import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from wholeframe.messages import listed
from wholeframe.train import old_runs
from wholeframe.train.finite import refuse_not_finite
from wholeframe.train.whole_files import replaced, write_json

ENTRIES: dict[str, type] = {
    "epoch": int,
    "global_step": int,
    "callbacks": dict,
    "loops": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "pytorch-lightning_version": str,
}
"""What a training needs to go on, next to the weights."""


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a checkpoint of a run, read without running code in it.

    Args:
        file: such as `last.ckpt`.

    Raises:
        ValueError: there is no such file, it is damaged, or it is a file of another kind.
    """
    if not file.exists():
        raise ValueError(
            f"there is no checkpoint '{file}'; the run may have been stopped before its first epoch ended: `wholeframe "
            f"train --resume {file.parent}` begins with it"
        )
    refuse_damaged(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # Other files raise anything: KeyError, IndexError, ...
        raise ValueError(_damaged(file, type(error).__name__)) from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ValueError(
            f"'{file}' is not a checkpoint of a run: it holds no state_dict; put a whole copy in its place"
        )
    refuse_not_finite(content, f"'{file}'")
    return content


def refuse_damaged(file: Path) -> None:
    """ValueError if a checksum in the checkpoint differs from its content, or the file is not an archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            wrong = archive.testzip()
    except Exception as error:  # Damaged headers raise anything: BadZipFile, NotImplementedError, OverflowError, ...
        raise ValueError(_damaged(file, type(error).__name__)) from error
    if wrong is not None:
        raise ValueError(_damaged(file, f"the checksum of {wrong!r} differs"))


def _damaged(file: Path, reason: str) -> str:
    return (
        f"'{file}' is not a checkpoint, or is damaged ({reason}); put a whole copy in its place, or start another run: "
        "--start takes the weights of best.ckpt, or of any other file"
    )


def read_resumable(file: Path, network: nn.Module) -> dict[str, Any]:
    """The content of a checkpoint that a training of this network can go on from.

    Args:
        file: such as `last.ckpt`.
        network: the network of the run, with any weights.

    Raises:
        ValueError: it is damaged, another program wrote it, or it has the weights of another network.
    """
    content = read_checkpoint(file)
    refuse_incomplete(content, file)
    there = {name: value.shape for name, value in content["state_dict"].items() if isinstance(value, torch.Tensor)}
    here = {f"network.{name}": value.shape for name, value in network.state_dict().items()}
    other = [name for name in here if name in there and here[name] != there[name]]
    if unlike := [*(name for name in {**here, **there} if (name in here) != (name in there)), *other]:
        raise ValueError(
            f"'{file}' has the weights of another network than the recipe of the run ({listed(unlike, most=3)}); put "
            "its own last.ckpt back"
        )
    return content


def refuse_incomplete(content: dict[str, Any], file: Path) -> None:
    """ValueError if a checkpoint has weights, and lacks what a training needs to go on from them."""
    missing = [name for name, kind in ENTRIES.items() if not isinstance(content.get(name), kind)]
    # Earlier versions saved at the end of an epoch alone, and had no position within it.
    missing += ["Splits"] if "Stopping" in content.get("callbacks", {}) and "Splits" not in content else []
    if missing:
        raise ValueError(
            f"'{file}' holds weights, but a training cannot go on from them: {', '.join(missing)} of a training with "
            f"`wholeframe train` are missing; give --start '{file}' and another --out to take the weights alone"
        )


def full_epochs(checkpoint: dict[str, Any]) -> int:
    """Number of full epochs in a checkpoint; one that was saved within an epoch counts those before it."""
    position = checkpoint.get("Splits", {})
    return checkpoint["epoch"] + (0 if position.get("batches") else 1)


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint completely or not at all; reads checkpoints of earlier versions and of moved runs."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        file = Path(path)
        with replaced(file) as part:
            super().save_checkpoint(checkpoint, part, storage_options)
        if file.name == "last.ckpt":
            # If last.ckpt is deleted later, this shows that the run had one.
            done = {"epochs": full_epochs(checkpoint), "steps": checkpoint["global_step"]}
            write_json(file.with_name("progress.json"), done)

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict[str, Any]:
        content = super().load_checkpoint(path, map_location, weights_only)
        folder = Path(path).resolve().parent
        return {**content, "callbacks": old_runs.callback_states(content.get("callbacks", {}), folder)}
