"""A run: the folder that a training leaves behind, and from which it can be read, evaluated and continued.

recipe.json        what was meant
environment.json   what was used: versions, device, classes, data
metrics.csv        loss and accuracy by step and epoch; TensorBoard events beside it
last.ckpt          after the last full epoch, with optimizer and schedule: `--resume` continues from it
best.ckpt          after the epoch with the best test score
scores-*.csv       what `wholeframe evaluate` heard, sample by sample
"""

import dataclasses
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
import torchvision
from torch import nn

from wholeframe.messages import one_of
from wholeframe.models.build import build
from wholeframe.train.recipe import Recipe, described, restored


@dataclass(frozen=True)
class Run:
    """A run folder on disk."""

    folder: Path

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.json"

    @property
    def environment_file(self) -> Path:
        return self.folder / "environment.json"

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.folder / "best.ckpt"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.csv"

    def write(self, recipe: Recipe, classes: tuple[str, ...], data: str, start: str | None = None) -> None:
        """Record what was meant and what is used; `start` is what the weights began as, None for the recipe's own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.recipe_file, described(recipe))
        write_json(self.environment_file, {"classes": classes, "data": data, "start": start, **environment()})

    def recipe(self) -> Recipe:
        """The recipe, as it was run."""
        fields = self._read(self.recipe_file)
        try:
            recipe = restored(fields)
        except (TypeError, ValueError) as error:
            raise ValueError(f"'{self.recipe_file}' is no recipe of this version of wholeframe: {error}") from error
        if not isinstance(recipe, Recipe):
            raise ValueError(f"'{self.recipe_file}' is no recipe of this version of wholeframe: it does not say so")
        return recipe

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's output."""
        return tuple(self._read(self.environment_file)["classes"])

    def epochs(self) -> int:
        """How many full epochs are trained."""
        return read_checkpoint(self.last)["epoch"] + 1

    def network(self, weights: str = "last") -> nn.Module:
        """The trained network, in eval mode."""
        recipe = self.recipe()
        model = dataclasses.replace(recipe.model, weights=None)  # the checkpoint holds every weight
        network = build(model, len(self.classes()), torch.randn(1, *recipe.data.shape))
        file = self.last if weights == "last" else self.best
        state = read_checkpoint(file)["state_dict"]
        try:
            network.load_state_dict({key.removeprefix("network."): value for key, value in state.items()})
        except RuntimeError as error:
            raise ValueError(f"'{file}' is not a checkpoint of the network in '{self.recipe_file}': {error}") from error
        return network.eval()

    def _read(self, file: Path) -> dict[str, Any]:
        if not file.is_file():
            raise ValueError(
                f"'{self.folder}' is no run folder: it has no {file.name}; a run is what "
                "`wholeframe train RECIPE --data DIR --out RUN` leaves behind"
            )
        return json.loads(file.read_text())


def load_run(folder: str | Path, weights: Literal["last", "best"] = "last") -> nn.Module:
    """Load the trained network of a run folder.

    Args:
        folder: what `wholeframe train ... --out FOLDER` wrote.
        weights: from the last epoch, or from the epoch with the best validation score.

    Returns:
        The network in eval mode, on the CPU. Its attribute `classes` has the names of the classes, in the order of its
        output.

    Raises:
        ValueError: if the folder is not a run, or has no such checkpoint.
    """
    one_of("weights", weights, ("last", "best"))
    run = Run(Path(folder))
    network = run.network(weights)
    network.__dict__["classes"] = run.classes()
    return network


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a checkpoint of ours; refuses what is none, without running code that hides in it."""
    if not file.is_file():
        raise ValueError(f"there is no checkpoint '{file}'; the run may have been stopped before its first epoch ended")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no checkpoint raises anything: KeyError, IndexError, ...
        raise ValueError(f"'{file}' is not a checkpoint, or is damaged ({type(error).__name__})") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(f"'{file}' is not a checkpoint of a run: it holds no state_dict")
    return content


def environment() -> dict[str, str]:
    """Versions and device, for the record."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores"
    libraries = {module.__name__: str(module.__version__) for module in (torch, torchvision, lightning)}
    return {"python": platform.python_version(), "device": device, **libraries}


def write_json(file: Path, content: object) -> None:
    """Write a file as a whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(file)
