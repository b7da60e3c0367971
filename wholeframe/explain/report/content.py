"""What a report shows, in words and numbers. No text is markup: the template escapes all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Arm:
    """An arm of a group, with means over its finished seeds.

    Args:
        number: of its row in the table of the group, which its points and lines have too.
        name: of the arm.
        task: what it learns; arms of one task share their charts.
        score: the mean of what `Group.scores` names for this task, from 0 to 1.
        costs: by name, such as "parameters"; the same names for every arm.
        losses: means of the training loss over equal spans of the training.
        steps: of the training.
        scores: the score after every epoch.
    """

    number: int
    name: str
    task: str
    score: float
    costs: Mapping[str, float]
    losses: Sequence[float] = ()
    steps: int = 0
    scores: Sequence[float] = ()


@dataclass(frozen=True)
class Group:
    """A table of the report and its charts: the arms of one task, or the rows of a published table.

    Args:
        title: of the group.
        said: sentences above the table.
        columns: of the table; the first `names` of them are names, the others are figures.
        rows: as many cells as there are columns; row k is that of the arm with the number k + 1.
        arms: those of the rows that have a finished training.
        scores: the name of the score of each task, such as "accuracy".
    """

    title: str
    said: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    arms: Sequence[Arm]
    scores: Mapping[str, str]
    names: int = 1


@dataclass(frozen=True)
class Picture:
    """A picture of an arm: its title, the file, and the sentence for those who do not see it."""

    title: str
    file: Path
    alt: str


@dataclass(frozen=True)
class Content:
    """A report.

    Args:
        title: of the page.
        done, planned: the numbers of finished and of all trainings.
        short: the result in a few sentences.
        groups: the tables and charts.
        pictures: of attention.
        without: the names of arms that have no picture, because they weigh no positions.
        command: that makes the comparison.
        facts: how it was made: versions, device, seeds.
    """

    title: str
    done: int
    planned: int
    short: Sequence[str]
    groups: Sequence[Group]
    pictures: Sequence[Picture]
    without: Sequence[str]
    command: str
    facts: Mapping[str, str]
