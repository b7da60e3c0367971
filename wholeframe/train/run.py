"""A run: the folder that a training writes, and from which it is read, evaluated and continued.

recipe.json        the recipe
environment.json   versions, device, classes, data
metrics.csv        loss and score by step and epoch; TensorBoard events are written next to it
last.ckpt          after the last full epoch, with optimizer and schedule: `--resume` continues from it
best.ckpt          after the epoch with the best validation score
scores-*.csv       the predictions of `wholeframe evaluate`, a row per sample
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
from wholeframe.train.finite import refuse_not_finite
from wholeframe.train.old_runs import recipe_fields
from wholeframe.train.recipe import Recipe, described, restored


@dataclass(frozen=True)
class Run:
    """A run folder on disk.

    Args:
        folder: its path.
    """

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

    def write(self, recipe: Recipe, classes: tuple[str, ...], data: str | None, start: str | None = None) -> None:
        """Write recipe.json and environment.json.

        Args:
            recipe: the recipe.
            classes: names of the classes, in the order of the network's output.
            data: the folder of the data, for the record; None if there is none.
            start: the run or file that the initial weights were loaded from; None for those of the recipe.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.recipe_file, described(recipe))
        write_json(self.environment_file, {"classes": classes, "data": data, "start": start, **environment()})

    def recipe(self) -> Recipe:
        """The recipe of the run. ValueError if this version cannot read it."""
        fields = self._read(self.recipe_file)
        try:
            recipe = restored(recipe_fields(fields))
        except (TypeError, ValueError) as error:
            raise ValueError(f"this version of wholeframe cannot read '{self.recipe_file}': {error}") from error
        if not isinstance(recipe, Recipe):
            raise ValueError(f"this version of wholeframe cannot read '{self.recipe_file}': it holds no recipe")
        return recipe

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's output."""
        return tuple(self._read(self.environment_file)["classes"])

    def epochs(self) -> int:
        """Number of full epochs in `last.ckpt`."""
        return read_checkpoint(self.last)["epoch"] + 1

    def network(self, weights: Literal["last", "best"] = "last") -> nn.Module:
        """The trained network, in eval mode; see `load_run`."""
        one_of("weights", weights, ("last", "best"))
        recipe = self.recipe()
        model = dataclasses.replace(recipe.model, weights=None)  # The checkpoint holds every weight.
        network = build(model, len(self.classes()), recipe.data.example())
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
                f"'{self.folder}' is not a run folder: it has no {file.name}; "
                "`wholeframe train RECIPE --data DIR --out RUN` writes one"
            )
        return json.loads(file.read_text())


def load_run(folder: str | os.PathLike[str], weights: Literal["last", "best"] = "last") -> nn.Module:
    """Load the trained network of a run folder, on the CPU.

        network = wf.load_run("runs/digits")
        names = network.classes                              # of its outputs

    Runs of earlier versions load as well, see `wholeframe.train.old_runs`.

    Args:
        folder: what `wholeframe train RECIPE --data DIR --out RUN` wrote.
        weights: "last" after the last full epoch; "best" after the epoch with the best validation score.

    Returns:
        The network in eval mode, with its blocks. Its attribute `classes` has the names of the classes, in the order of
        its outputs.

    Raises:
        ValueError: the folder is not a run folder, has no such checkpoint, or the checkpoint is damaged.
    """
    run = Run(Path(folder))
    network = run.network(weights)
    network.__dict__["classes"] = run.classes()  # not a module or tensor: the state dict stays as it is
    return network


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The content of a checkpoint of a run, read without running code in it. ValueError for any other file."""
    if not file.is_file():
        raise ValueError(f"there is no checkpoint '{file}'; the run may have been stopped before its first epoch ended")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # Other files raise anything: KeyError, IndexError, ...
        raise ValueError(f"'{file}' is not a checkpoint, or is damaged ({type(error).__name__})") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(f"'{file}' is not a checkpoint of a run: it holds no state_dict")
    refuse_not_finite(content, f"'{file}'")
    return content


def environment() -> dict[str, str]:
    """Versions of the libraries, and the device."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores"
    libraries = {module.__name__: str(module.__version__) for module in (torch, torchvision, lightning)}
    return {"python": platform.python_version(), "device": device, **libraries}


def write_json(file: Path, content: object) -> None:
    """Write a JSON file completely or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(file)
