"""`wholeframe models [NAME]`: the named networks, or the card of one of them."""

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wholeframe.models.zoo import MODELS, card_of
from wholeframe.models.zoo.card import Card
from wholeframe.models.zoo.published import SIZE_UNITS, Comparison, compare_figures
from wholeframe.models.zoo.sizes import SIZES


@dataclass(frozen=True)
class Options:
    """List the named networks; with a name, show its card, with published figures next to ours."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    """a network of the list"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe models")
    console = Console()
    console.width = max(console.width, 132)  # A pipe or a log has no width.
    if options.name is None:
        console.print(_list())
        console.print("multiply-adds of a detector are those of its backbone with the pyramid")
        console.print("published figures, not ours; `wholeframe models NAME` shows their sources and the whole card")
    else:
        show(console, options.name, card_of(options.name))


def _list() -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("paper")
    table.add_column("M parameters", justify="right")
    table.add_column("G multiply-adds", justify="right")
    table.add_column("published", no_wrap=True)
    for name, network in MODELS.items():
        params, macs = SIZES[name]
        table.add_row(name, escape(network.paper), f"{params / 1e6:.2f}", f"{macs / 1e9:.2f}", _accuracy(network))
    return table


def _accuracy(network: Card) -> str:
    """The first published accuracy, error or average precision of the card."""
    for figure in network.published:
        if figure.unit not in SIZE_UNITS:
            return f"{figure.figure} {figure.unit}{'' if figure.confirmed else ', unverified'}"
    return ""


def show(console: Console, name: str, network: Card) -> None:
    """Print the whole card."""
    sample = " x ".join(map(str, network.input))
    facts = {
        "paper": network.paper,
        "input": f"{sample}, {network.num_classes} classes{' with the background' if network.counted else ''}",
        "backbone": network.backbone,
        "weights": network.weights,
        "train": network.command,
    }
    console.print(f"[bold]{name}[/bold]")
    for what, fact in facts.items():
        if fact:
            console.print(f"  {what:<8} {escape(fact)}", soft_wrap=True)
    console.print(table(compare_figures(name)))


def table(rows: list[Comparison]) -> Table:
    """Published figures with their sources, next to ours where they are sizes."""
    shown = Table(box=SIMPLE, pad_edge=False)
    for column in ("published", "ours"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("unit", no_wrap=True)
    shown.add_column("source", overflow="fold")
    shown.add_column("note")
    for row in rows:
        published = row.published
        shown.add_row(published.figure, row.ours or "", published.unit, escape(published.source), escape(row.note))
    return shown
