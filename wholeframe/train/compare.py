"""Compare blocks: the same network without and with each of them, trained by the same recipe."""

import csv
import dataclasses
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from wholeframe.data.shapes import Shapes
from wholeframe.data.synthetic import IGNORE
from wholeframe.explain.attention import attention, blocks_with_attention
from wholeframe.explain.pictures.draw import draw_attention
from wholeframe.messages import shown
from wholeframe.models.cost import cost, inference_ms
from wholeframe.surgery.placement import in_block
from wholeframe.train.fit import final_score, fit, network_for
from wholeframe.train.loaders import Splits
from wholeframe.train.recipe import Recipe
from wholeframe.train.shapes import partner_and_own


@dataclass(frozen=True)
class Result:
    """One training of a comparison: a row of `results.csv`.

    `params` is the number of parameters that the block adds, and `macs` the number of multiply-adds of the whole
    network for one image. `accuracy` is measured on the held-out images after the last step, and `infer_ms` is the
    median time of a forward pass of one image.
    """

    task: str
    block: str
    seed: int
    params: int
    macs: int
    accuracy: float
    train_s: float
    infer_ms: float


@dataclass(frozen=True)
class ShapesResult(Result):
    """One training on `shapes`, with its second figure.

    `accuracy` is the AP50 of the boxes of the shapes that a partner names, and `own_form` that of the others. `macs`
    are those of the backbone, because the heads take as many boxes as the detector finds.
    """

    own_form: float


@dataclass(frozen=True)
class Summary:
    """The trainings of one block on one task, over all seeds."""

    task: str
    block: str
    params: int
    macs: int
    accuracies: tuple[float, ...]
    train_s: float
    infer_ms: float
    own_forms: tuple[float, ...] = ()

    def accuracy(self) -> str:
        """The mean, with the standard deviation if there are several seeds."""
        return _with_spread(self.accuracies)

    def own_form(self) -> str:
        """The same of the shapes that their own form names; empty for a task without them."""
        return _with_spread(self.own_forms) if self.own_forms else ""


def _with_spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def train_one(
    task: str, recipe: Recipe, splits: Splits, callbacks: Sequence[Callback] = ()
) -> tuple[Result, nn.Module]:
    """Train the network of a recipe and measure it.

    Args:
        task: name of the task, for the table.
        recipe: the network and its training.
        splits: the data.
        callbacks: further callbacks of Lightning.

    Returns:
        The row of the table, and the trained network.
    """
    network = network_for(recipe, len(splits.classes))
    start = time.perf_counter()
    trainer = fit(recipe, network, splits, callbacks=callbacks)
    train_s = time.perf_counter() - start
    example = splits.data.to_input(next(iter(splits.val_dataloader()))[0][:1])
    new = sum(p.numel() for name, p in network.named_parameters() if in_block(name))
    detects = isinstance(splits.val, Shapes)
    counted = (network.get_submodule("backbone"), torch.stack(example)) if detects else (network, example)
    row = {
        "task": task,
        "block": recipe.model.block or "none",
        "seed": recipe.seed,
        "params": new,
        "macs": cost(*counted).macs,
        "train_s": train_s,
        "infer_ms": inference_ms(network, example),
    }
    if isinstance(splits.val, Shapes):
        partner, own_form = partner_and_own(network, splits.val)
        return ShapesResult(**row, accuracy=partner, own_form=own_form), network
    return Result(**row, accuracy=final_score(trainer, recipe)), network


def summarise(results: Sequence[Result]) -> list[Summary]:
    """One row per task and block, in the order of the trainings."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.task, result.block), []).append(result)
    return [
        Summary(
            task=task,
            block=block,
            params=group[0].params,
            macs=group[0].macs,
            accuracies=tuple(r.accuracy for r in group),
            train_s=statistics.mean(r.train_s for r in group),
            infer_ms=statistics.mean(r.infer_ms for r in group),
            own_forms=tuple(r.own_form for r in group if isinstance(r, ShapesResult)),
        )
        for (task, block), group in groups.items()
    ]


def picture(network: nn.Module, splits: Splits, file: Path) -> None:
    """Draw the attention of each block for one position of the first held-out image, if a block has attention.

    The position is the first with a label, the middle of the first object, which in `shapes` is a disc, or the centre
    if the whole image has one label.
    """
    if not blocks_with_attention(network):
        return
    image, label = splits.val[0]
    height, width = image.shape[1:]
    query = (height // 2, width // 2)
    if torch.is_tensor(label) and label.ndim == 2:
        y, x = (label != IGNORE).nonzero()[0].tolist()
        query = ((2 * y + 1) * height // (2 * label.shape[0]), (2 * x + 1) * width // (2 * label.shape[1]))
    if isinstance(label, Mapping):
        x1, y1, x2, y2 = label["boxes"][0].tolist()
        query = (int(y1 + y2) // 2, int(x1 + x2) // 2)
    draw_attention(splits.picture(image), query, attention(network, image[None], query), file)


HEADER = ("task", "block", "new params", "mult-adds", "accuracy", "train s", "infer ms")
OF_SHAPES = (
    "The score of `shapes` is the AP50 of the boxes of the discs, which a partner names, and own form is that of the "
    "squares and triangles; mult-adds are those of the backbone. The score of another task is its accuracy."
)
OBJECTS_HEADER = (*HEADER[:4], "score", "own form", *HEADER[5:])


def header(rows: Sequence[Summary]) -> tuple[str, ...]:
    """The columns: `HEADER`, or for a table with `shapes` those of its two figures."""
    return OBJECTS_HEADER if any(row.own_forms for row in rows) else HEADER


def cells(row: Summary, columns: Sequence[str] = HEADER) -> tuple[str, ...]:
    """The cells of a summary, in the columns of `header`."""
    return (
        row.task,
        row.block,
        f"{row.params:,}",
        f"{row.macs:,}",
        row.accuracy(),
        *([row.own_form()] if "own form" in columns else []),
        f"{row.train_s:.1f}",
        f"{row.infer_ms:.2f}",
    )


def write_csv(results: Sequence[Result], file: Path) -> None:
    """Write `results.csv`: a row per training. The column `own_form` is there if a task has it."""
    # Bytes of a folder name that are not UTF-8 are written as escapes, so that every program can read the file.
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        of_shapes = any(isinstance(result, ShapesResult) for result in results)
        writer = csv.DictWriter(stream, [f.name for f in dataclasses.fields(ShapesResult if of_shapes else Result)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(result) for result in results)


def write_markdown(rows: Sequence[Summary], command: str, file: Path) -> None:
    """Write `results.md`: the table, and the command that made it."""
    columns = header(rows)
    lines = [
        f"Made by {as_code(command)}. New params are the parameters of the block; mult-adds are those of the whole "
        "network for one image; accuracy is the mean over seeds on the test set of an embedded task, or on the "
        "validation split of your images (no choice is made on either while training); infer is the time of one image "
        "on the machine that trained the network.",
        *([OF_SHAPES] if columns is OBJECTS_HEADER else []),
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---|" + "---:|" * (len(columns) - 2),
        *("| " + " | ".join((in_markdown(task), *rest)) + " |" for task, *rest in (cells(r, columns) for r in rows)),
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_markdown(name: str) -> str:
    """A name from outside in a table of Markdown, where its letters have no meaning."""
    return re.sub(r"([\\`*_{}\[\]<>|#$~&!])", r"\\\1", shown(name))


def as_code(command: str) -> str:
    """A command as code in Markdown: between more backticks than it has in a row."""
    text = shown(command, 2000)
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"
