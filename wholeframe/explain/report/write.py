"""The HTML of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from wholeframe.explain.page.template import rendered
from wholeframe.explain.report.charts import Chart, against, curves
from wholeframe.explain.report.content import Arm, Content, Group
from wholeframe.explain.report.thumbnails import thumbnails

QUARTERS = (0, 0.25, 0.5, 0.75, 1)
"""parts of a training, for the losses in words"""


def html_report(content: Content) -> str:
    """The text of a page that loads nothing, runs no script, and escapes all that it is given.

    Args:
        content: what the page shows; its pictures are read and made smaller.
    """
    return rendered(
        "report.html",
        "report.css",
        (),
        "img-src data:",
        folder="wholeframe.explain.report",
        content=content,
        groups=[(group, _panels(group)) for group in content.groups],
        pictures=thumbnails(content.pictures),
    )


def _panels(group: Group) -> list[Mapping[str, Any]]:
    """The charts of every task of a group that has a finished training."""
    panels = []
    for task, score in group.scores.items():
        arms = [arm for arm in group.arms if arm.task == task]
        if arms:
            panels.append(
                {
                    "task": task,
                    "arms": arms,
                    "curves": _curves(arms, score),
                    "losses": [(arm, _quarters(arm.losses)) for arm in arms if arm.losses],
                    "costs": [against(cost, score, arms) for cost in arms[0].costs],
                }
            )
    return panels


def _curves(arms: Sequence[Arm], score: str) -> list[Chart]:
    """The training loss over the steps, and the score over the epochs if there are several."""
    charts = []
    losses = [(arm, _spans(arm.losses, arm.steps)) for arm in arms if arm.losses]
    if losses:
        charts.append(curves("training loss", "training step", "loss", losses))
    scores = [(arm, list(enumerate(map(float, arm.scores), start=1))) for arm in arms if len(arm.scores) > 1]
    if scores:
        charts.append(curves(f"validation {score}", "epoch", score, scores))
    return charts


def _spans(losses: Sequence[float], steps: int) -> list[tuple[float, float]]:
    """Each mean at the middle of its span of steps."""
    return [(steps * (k + 0.5) / len(losses), loss) for k, loss in enumerate(losses)]


def _quarters(losses: Sequence[float]) -> list[float]:
    return [losses[round(part * (len(losses) - 1))] for part in QUARTERS]
