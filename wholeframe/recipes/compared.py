"""The recipes and the data of `wholeframe compare`: one task, under any seed."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wholeframe.data.image_folder import ImageFolder, open_folder
from wholeframe.data.synthetic import TASKS
from wholeframe.data.synthetic_clips import CLIP_TASKS
from wholeframe.models.build import ModelConfig
from wholeframe.models.toy_clips import TOY_CLIP_NETS
from wholeframe.models.toy_detector import ToyDetectorConfig
from wholeframe.recipes import folder, shapes, synthetic
from wholeframe.train.arms import Arm, Training
from wholeframe.train.evaluations import samples_checksum
from wholeframe.train.inputs.images import folder_splits
from wholeframe.train.loaders import Splits, marker_splits
from wholeframe.train.recipe import Recipe
from wholeframe.train.shapes import shapes_splits

DETECTED = "shapes"
EMBEDDED = (*TASKS, DETECTED, *CLIP_TASKS)

# The compared networks have 48 or 32 channels, too few for the papers' options (1/16 of 1024 channels, 128 of 2048).
OPTIONS: dict[str, dict[str, Any]] = {
    "gc": {"ratio": 0.25},
    "se": {"ratio": 0.25},
    "cbam": {"ratio": 0.25},
    "gsop_channel": {"inner": 24},
    "gsop_position": {"inner": 24},
}


def options_of(host: ModelConfig, block: str) -> dict[str, Any]:
    """The arguments of a block in the network of a comparison.

    A detector learns the forms first, and a block that starts as an identity has no part in that; those of the detector
    start at random.
    """
    return {**OPTIONS.get(block, {}), **({"init": "random"} if isinstance(host, ToyDetectorConfig) else {})}


@dataclass(frozen=True)
class Compared:
    """The data that a comparison trains on, as a value that another process can receive.

    Args:
        steps: training steps on an embedded task; None for 300, and 600 for a detector.
        folder: images in class folders; None for the embedded tasks.
        epochs: passes over the images of the folder.
        strict: raise an error for an image that does not decode.
        part: of the steps or epochs, in (0, 1]; a rung of a search trains for a part of them, with the whole schedule.
    """

    steps: int | None = None
    folder: Path | None = None
    epochs: int = 12
    strict: bool = False
    part: float = 1.0

    def host(self, task: str) -> ModelConfig:
        """The bare network of a task, with the site that blocks have by default."""
        return self._bare(task, 0).model

    def recipe(self, training: Training) -> Recipe:
        """How an arm is trained under its seed."""
        arm = training.arm
        bare = self._bare(arm.task, training.seed, clips=arm.model.backbone in TOY_CLIP_NETS)
        return replace(bare, model=arm.model)

    def splits(self, training: Training) -> Splits:
        """The samples of a training; those of one seed are the same for all arms."""
        return _splits(self, training.arm.task, self.recipe(training).data, training.seed)

    def train_steps(self, training: Training) -> int:
        """The steps of a training."""
        recipe = self.recipe(training)
        if self.folder is None:
            return self.steps_on(training.arm.task)
        return recipe.schedule.epochs * (len(self.images().train) // recipe.data.batch)

    def steps_on(self, task: str) -> int:
        """The training steps on an embedded task."""
        return self._short(task)

    def whole(self, task: str) -> int:
        """The steps on an embedded task, or the epochs of the folder, of which a `part` is trained."""
        return self.epochs if self.folder is not None else self.steps or (600 if task == DETECTED else 300)

    def _short(self, task: str) -> int:
        """The part of `whole`, rounded down. ValueError if that is none."""
        found = int(self.part * self.whole(task) + 1e-9)  # A third of 300 is 100, in floats as well.
        if found < 1:
            raise ValueError(f"part={self.part:.2g} of {self.whole(task)} is less than one; give a larger part")
        return found

    def images(self) -> ImageFolder:
        """The images of the folder."""
        assert self.folder is not None
        return _opened(self.folder, self.strict)

    def described(self) -> dict[str, object]:
        """What identifies the data, in types that JSON has."""
        if self.folder is None:
            return {"steps": {task: self.steps_on(task) for task in EMBEDDED}}
        names = [(path.name, str(label), str(path.stat().st_size)) for path, label in self.images().all]
        return {"epochs": self.epochs, "images": len(names), "names_and_sizes": samples_checksum(sorted(names))}

    def _bare(self, task: str, seed: int, clips: bool = False) -> Recipe:
        if self.folder is not None:
            return folder.small(seed, self._short(task))
        if task == DETECTED:
            return shapes.small_detector(seed)
        return synthetic.small_clips(task, seed) if clips or task in CLIP_TASKS else synthetic.small_dense(seed)


def arm_of(host: ModelConfig, task: str, block: str | None, at: tuple[str, ...], name: str) -> Arm:
    """A host with a block under the options of its task, or bare."""
    if block is None:
        return Arm(task, name, host)
    return Arm(task, name, replace(host, block=block, at=at, options=options_of(host, block)))


@lru_cache(maxsize=1)
def _opened(folder: Path, strict: bool) -> ImageFolder:
    return open_folder(folder, strict=strict)


@lru_cache(maxsize=1)
def _splits(compared: Compared, task: str, data: Any, seed: int) -> Splits:
    """The samples of the last task and seed are kept, because all its arms train on them."""
    if compared.folder is not None:
        return folder_splits(compared.images(), data, seed)
    if task == DETECTED:
        return shapes_splits(data, seed, steps=compared.steps_on(task))
    return marker_splits(task, data, seed, steps=compared.steps_on(task))
