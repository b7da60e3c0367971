"""Compare blocks: the same network without and with each of them, trained by the same recipe."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.apply_func import apply_to_collection
from torch import nn

from wholeframe.data.shapes import Shapes
from wholeframe.models.cost import cost, inference_ms
from wholeframe.surgery.placement import in_block
from wholeframe.train.arms import Arm, Key
from wholeframe.train.fit import final_score, fit, network_for
from wholeframe.train.loaders import Splits
from wholeframe.train.loss_curve import LossCurve
from wholeframe.train.on_answer import on_answer
from wholeframe.train.query_statistics import query_statistics
from wholeframe.train.recipe import Recipe
from wholeframe.train.shapes import partner_and_own

STATISTICS_OF = 8
"""Held-out samples on which the dependence on the query is measured."""


@dataclass(frozen=True)
class Result:
    """One training of a comparison: a row of `results.csv`.

    `params` is the number of parameters that the block adds, `network_params` that of the whole network, and `macs` the
    number of its multiply-adds for one image. `accuracy` is measured on the held-out images after the last step, and
    `infer_ms` is the median time of a forward pass of one image. `batches` is the checksum of the training batches in
    their order; the trainings of one task and seed have the same. `on_answer` is the share of queries of the task
    `recall` whose strongest key lies on the answer, see `wholeframe.train.on_answer`. `steps` is the number of training
    steps, `losses` the means of the training loss over equal spans of them, and `scores` the accuracy after every
    epoch. The other figures are those of `wholeframe.train.query_statistics`, on eight held-out samples.
    """

    task: str
    block: str
    seed: int
    params: int
    macs: int
    accuracy: float
    train_s: float
    infer_ms: float
    network_params: int = field(default=0, kw_only=True)
    cos_input: float | None = field(default=None, kw_only=True)
    cos_output: float | None = field(default=None, kw_only=True)
    cos_attention: float | None = field(default=None, kw_only=True)
    divergence: float | None = field(default=None, kw_only=True)
    on_answer: float | None = field(default=None, kw_only=True)
    batches: str = field(default="", kw_only=True)
    steps: int = field(default=0, kw_only=True)
    losses: list[float] = field(default_factory=list, kw_only=True)
    scores: list[float] = field(default_factory=list, kw_only=True)

    @property
    def key(self) -> Key:
        """That of the `Training`."""
        return self.task, self.block, self.seed


@dataclass(frozen=True)
class ShapesResult(Result):
    """One training on `shapes`, with its second figure.

    `accuracy` is the AP50 of the boxes of the shapes that a partner names, and `own_form` that of the others. `macs`
    are those of the backbone, because the heads take as many boxes as the detector finds.
    """

    own_form: float


def refuse_unpaired(one: Result, other: Result, kind: str) -> None:
    """ValueError if two arms did not train on the same batches under one seed; `kind` is what is to be repeated."""
    if one.batches != other.batches:
        raise ValueError(
            f"{one.block!r} and {other.block!r} on {one.task!r} did not train on the same batches under seed "
            f"{one.seed}, so that their difference is not paired; repeat the {kind} with another --out"
        )


class Order(Callback):
    """The SHA-256 of all training batches in their order, so that paired trainings can show that theirs are equal."""

    def __init__(self):
        self.sum = hashlib.sha256()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        apply_to_collection(batch, torch.Tensor, self._add)

    def _add(self, tensor: torch.Tensor) -> torch.Tensor:
        self.sum.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return tensor


def train_one(arm: Arm, recipe: Recipe, splits: Splits, callbacks: Sequence[Callback] = ()) -> tuple[Result, nn.Module]:
    """Train the network of a recipe and measure it.

    Args:
        arm: task and name, for the table.
        recipe: the network of the arm and its training.
        splits: the data.
        callbacks: further callbacks of Lightning.

    Returns:
        The row of the table, and the trained network.
    """
    network = network_for(recipe, len(splits.classes))
    order, curve = Order(), LossCurve(f"val/{recipe.task.score}")
    start = time.perf_counter()
    trainer = fit(recipe, network, splits, callbacks=[order, curve, *callbacks])
    train_s = time.perf_counter() - start
    samples = next(iter(splits.val_dataloader()))[0][:STATISTICS_OF]
    example = splits.data.to_input(samples[:1])
    new = sum(p.numel() for name, p in network.named_parameters() if in_block(name))
    detects = isinstance(splits.val, Shapes)
    counted = (network.get_submodule("backbone"), torch.stack(example)) if detects else (network, example)
    row = {
        "task": arm.task,
        "block": arm.name,
        "seed": recipe.seed,
        "params": new,
        "network_params": sum(p.numel() for p in network.parameters()),
        "macs": cost(*counted).macs,
        "train_s": train_s,
        "infer_ms": inference_ms(network, example),
        "batches": order.sum.hexdigest(),
        "steps": len(curve.steps),
        "losses": curve.losses(),
        "scores": curve.scores,
    }
    if isinstance(splits.val, Shapes):
        partner, own_form = partner_and_own(network, splits.val)
        return ShapesResult(**row, accuracy=partner, own_form=own_form), network
    dependent = query_statistics(network, splits.data.to_input(samples))
    found = on_answer(network, 2 * recipe.seed + 1) if arm.task == "recall" else None
    return Result(**row, **dependent, on_answer=found, accuracy=final_score(trainer, recipe)), network
