"""Learning curves: the error and the loss of trainings over their epochs, as in figure 4 of Non-local (CVPR 2018)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wholeframe.explain.figures import INK, drawable

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
"""of the runs in turn: the palette of Okabe and Ito, which colour-blind people distinguish, without its yellow"""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""of the runs that share a colour, in turn"""

MARKED = 15
"""about the number of epochs of a line that have a marker"""

Line = Mapping[int, float]
"""a figure by epoch, from 1; an epoch without a finite value is left out"""


@dataclass(frozen=True)
class LearningCurve:
    """The figures of one training by epoch. A line is empty where the training does not log it."""

    name: str
    score: str
    """the score that compares epochs, higher is better: `accuracy` or `mAP`"""
    epochs: int
    """planned epochs"""
    train_score: Line = field(default_factory=dict)
    val_score: Line = field(default_factory=dict)
    train_loss: Line = field(default_factory=dict)
    val_loss: Line = field(default_factory=dict)

    @property
    def done(self) -> int:
        """The last epoch with a figure."""
        return max((max(line, default=0) for line in self.lines().values()), default=0)

    @property
    def figure(self) -> str:
        """What the first panel shows: the error, 1 - accuracy; or the score itself where it is not an accuracy."""
        return "error" if self.score == "accuracy" else self.score

    def lines(self) -> dict[tuple[str, str], Line]:
        """Every line by (figure, split); `error` is in percent."""
        first = {"val": self.val_score, "train": self.train_score}
        if self.figure == "error":
            first = {split: {epoch: 100 * (1 - v) for epoch, v in line.items()} for split, line in first.items()}
        losses = {"val": self.val_loss, "train": self.train_loss}
        return {
            **{(self.figure, split): line for split, line in first.items()},
            **{("loss", split): line for split, line in losses.items()},
        }

    def described(self) -> str:
        """The last and the best validation figure, in words."""
        unfinished = "" if self.done >= self.epochs else f" of {self.epochs}"
        words = f"{self.done}{unfinished} epochs"
        line = self.lines()[self.figure, "val"]
        if not line:
            return f"{words}, no finite validation {self.figure}"
        last, best = max(line), self.best()
        return (
            f"{words}; validation {self.figure} {self.written(line[last])} after epoch {last}, "
            f"at best {self.written(line[best])} after epoch {best}"
        )

    def best(self) -> int:
        """The first epoch with the highest validation score."""
        return max(self.val_score, key=lambda epoch: (self.val_score[epoch], -epoch))

    def written(self, value: float) -> str:
        """A value of the first panel with its unit."""
        return f"{value:.2f} %" if self.figure == "error" else f"{value:.4f}"


def draw_learning(curves: Sequence[LearningCurve], file: Path) -> None:
    """Draw the learning curves of trainings over each other: one panel for the error or score, and one for the loss.

    Each training has a colour: its validation is a bold line, its figures while it trains are a thin dashed one. These
    are means over an epoch, in training mode, on augmented samples and before each step, so that they start worse.

    Args:
        curves: the trainings, all with the same score.
        file: the PNG to write.

    Raises:
        ValueError: the trainings have different scores.
    """
    refuse_mixed(curves)
    panels = [what for what in (curves[0].figure, "loss") if any(_lines(curves, what))]
    figure = Figure(figsize=(1 + 4.6 * len(panels), 3.6 + 0.22 * len(curves)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, what in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, curve in enumerate(curves):
            for split in ("train", "val"):
                _draw_line(axis, curve.lines()[what, split], number, split)
        axis.set_xlabel("epoch", fontsize=9)
        axis.set_ylabel("error, %" if what == "error" else what, fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_xlim(0.5, max(curve.done for curve in curves) + 0.5)
        axis.grid(True, color="#dddddd", linewidth=0.6)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        if what == "error":
            axis.set_ylim(0, 1.05 * max(axis.get_ylim()[1], 1))
    _write_legend(figure, curves)
    figure.savefig(file)


def refuse_mixed(curves: Sequence[LearningCurve]) -> None:
    """ValueError for trainings whose scores have no axis in common."""
    scores = {curve.score: curve.name for curve in curves}
    if len(scores) > 1:
        (one, first), (other, second) = list(scores.items())[:2]
        raise ValueError(
            f"the score of {first} is {one} and that of {second} is {other}, which have no axis in common; draw them "
            "into two pictures"
        )


def _lines(curves: Sequence[LearningCurve], what: str) -> Iterable[Line]:
    return (line for curve in curves for (figure, _), line in curve.lines().items() if figure == what)


def _draw_line(axis: Axes, line: Line, number: int, split: str) -> None:
    """One line; an epoch without a value is a gap."""
    if not line:
        return
    epochs = range(min(line), max(line) + 1)
    values = [line.get(epoch, float("nan")) for epoch in epochs]
    # Not cut at the edge of the panel: an error of 0 lies on it.
    axis.plot(epochs, values, markevery=-(-len(epochs) // MARKED), clip_on=False, zorder=3, **_stroke(number, split))


def _stroke(number: int, split: str) -> dict:
    again, colour = divmod(number, len(COLOURS))
    stroke = {"color": COLOURS[colour], "marker": MARKERS[again % len(MARKERS)]}
    if split == "val":
        return {**stroke, "linewidth": 2.2, "markersize": 4.5}
    return {**stroke, "linewidth": 1.1, "linestyle": (0, (4, 2)), "markersize": 3, "markerfacecolor": "white"}


def _write_legend(figure: Figure, curves: Sequence[LearningCurve]) -> None:
    """The names below the panels, after a grey line for each of the two splits."""
    lines = [Line2D([], [], **_stroke(number, "val")) for number in range(len(curves))]
    splits = [Line2D([], [], **{**_stroke(0, split), "color": "#777777", "marker": ""}) for split in ("val", "train")]
    legend = figure.legend(
        [*splits, *lines],
        ["" for _ in (*splits, *lines)],
        loc="outside lower left",
        fontsize=8,
        frameon=False,
        ncols=2 if len(curves) > 1 else 3,
        labelcolor=INK,
    )
    texts = ["validation", "training, while the epoch runs", *(_label(curve) for curve in curves)]
    for text, label in zip(legend.get_texts(), texts, strict=True):
        text.set_parse_math(False)  # A legend takes it only afterwards, so the names come afterwards as well.
        text.set_text(label)


def _label(curve: LearningCurve) -> str:
    unfinished = "" if curve.done >= curve.epochs else f" ({curve.done} of {curve.epochs} epochs)"
    return f"{drawable(curve.name, 48)}{unfinished}"
