"""A run: the folder that a training writes, and from which it is read, evaluated and continued.

recipe.json        the recipe; written after environment.json and samples.csv, so that both are there with it
environment.json   versions, device, classes, data, options, and the checksums of recipe.json and samples.csv
samples.csv        split, name and label of every sample
metrics.csv        loss and score by step and epoch; TensorBoard events are written next to it
last.ckpt          the latest checkpoint, with optimizer and schedule: `--resume` continues from it
best.ckpt          after the epoch with the best validation score
progress.json      epochs and steps in last.ckpt
run.lock           held by the process that writes the folder
evaluations/       the answers of `wholeframe evaluate`, a folder for each way to evaluate; see `train.evaluations`
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from wholeframe.messages import one_of
from wholeframe.models.build import build
from wholeframe.store.read import ATTRIBUTE
from wholeframe.train.checkpoints import full_epochs, read_checkpoint
from wholeframe.train.environment import environment
from wholeframe.train.network_file import header_of_run
from wholeframe.train.old_runs import recipe_fields
from wholeframe.train.recipe import Recipe, described, restored
from wholeframe.train.record import read_json, refuse_changed, sealed, typed, unsealed
from wholeframe.train.samples import Sample, read_samples, samples_text
from wholeframe.train.whole_files import digest_of, json_text, write_json, write_text


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
    def samples_file(self) -> Path:
        return self.folder / "samples.csv"

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.folder / "best.ckpt"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def progress_file(self) -> Path:
        return self.folder / "progress.json"

    def write(
        self,
        recipe: Recipe,
        classes: tuple[str, ...],
        data: str | None,
        start: str | None = None,
        samples: Sequence[Sample] | None = None,
        **details: Any,
    ) -> None:
        """Write samples.csv, environment.json and, last, recipe.json.

        Args:
            recipe: the recipe.
            classes: names of the classes, in the order of the network's output.
            data: the folder of the data, for the record; None if there is none.
            start: the run or file that the initial weights were loaded from; None for those of the recipe.
            samples: split, name and label of every sample; None writes no samples.csv.
            details: further entries of environment.json, such as the options of the data and of the devices.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        recipe_text, checksums = json_text(described(recipe)), {}
        if samples is not None:
            text = samples_text(samples)
            checksums["samples.csv"] = digest_of(text)
            write_text(self.samples_file, text)
        checksums["recipe.json"] = digest_of(recipe_text)
        record = {
            "classes": classes,
            "data": data,
            "start": start,
            **details,
            **environment(recipe.precision),
            "sha256": checksums,
        }
        write_json(self.environment_file, sealed(record))
        write_text(self.recipe_file, recipe_text)

    def rewrite(self, recipe: Recipe) -> None:
        """Replace the recipe of a run that goes on with another one."""
        text = json_text(described(recipe))
        record = self.record()
        # A kill between the two files leaves the checksum of the new recipe next to the old one, so it lists both.
        checksums = {**record.get("sha256", {}), "recipe.json": digest_of(text)}
        before = digest_of(self.recipe_file.read_text())
        write_json(self.environment_file, sealed({**record, "sha256": {**checksums, "recipe.json before": before}}))
        write_text(self.recipe_file, text)

    def recipe(self) -> Recipe:
        """The recipe of the run. ValueError if it is damaged, or this version cannot read it."""
        fields = read_json(self.recipe_file, self.folder)
        try:
            recipe = restored(recipe_fields(fields))
            if not isinstance(recipe, Recipe):
                raise ValueError("it holds no recipe")
            typed(recipe)
        except Exception as error:  # Damaged fields raise anything: KeyError, AttributeError, ...
            raise ValueError(
                f"this version of wholeframe cannot read '{self.recipe_file}': {error}; put a whole copy in its place, "
                "or take the version that wrote it"
            ) from error
        if self.environment_file.is_file():
            checksums = self.record().get("sha256", {})
            known = [checksums[name] for name in ("recipe.json", "recipe.json before") if name in checksums]
            refuse_changed(self.recipe_file, known, self.folder)
        return recipe

    def record(self) -> dict[str, Any]:
        """The content of environment.json. ValueError if it is damaged."""
        return unsealed(read_json(self.environment_file, self.folder), self.environment_file, self.folder)

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's output."""
        return tuple(self.record()["classes"])

    def samples(self) -> list[Sample] | None:
        """Split, name and label of every sample; None if an earlier version wrote the run."""
        known = self.record().get("sha256", {}).get("samples.csv")
        if known is None:
            return None
        if not self.samples_file.is_file():
            raise ValueError(
                f"'{self.samples_file}' is gone, so the data cannot be compared with that of the training; put it "
                f"back, or begin another run with another --out; --start '{self.last}' takes the weights of this one"
            )
        refuse_changed(self.samples_file, [known], self.folder)
        return read_samples(self.samples_file)

    def epochs(self) -> int:
        """Number of full epochs in `last.ckpt`."""
        return full_epochs(read_checkpoint(self.last))

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
        except Exception as error:  # Keys and values of other programs may be of any type.
            raise ValueError(f"'{file}' is not a checkpoint of the network in '{self.recipe_file}': {error}") from error
        return network.eval()


def load_run(folder: str | os.PathLike[str], weights: Literal["last", "best"] = "last") -> nn.Module:
    """Load the trained network of a run folder, on the CPU.

        network = wf.load_run("runs/digits")
        names = network.classes                              # of its outputs

    Runs of earlier versions load as well, see `wholeframe.train.old_runs`.

    Args:
        folder: what `wholeframe train RECIPE --data DIR --out RUN` wrote.
        weights: "last" of the latest checkpoint; "best" after the epoch with the best validation score.

    Returns:
        The network in eval mode, with its blocks. Its attribute `classes` has the names of the classes, in the order of
        its outputs.

    Raises:
        ValueError: the folder is not a run folder, has no such checkpoint, or one of its files is damaged.
    """
    run = Run(Path(folder))
    network = run.network(weights)
    classes = run.classes()
    network.__dict__["classes"] = classes  # not a module or tensor: the state dict stays as it is
    network.__dict__[ATTRIBUTE] = header_of_run(network, run.recipe().data, classes)  # for `wf.save`
    return network
