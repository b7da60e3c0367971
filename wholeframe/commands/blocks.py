"""`wholeframe blocks`: lists the blocks with their equations and costs."""

from dataclasses import dataclass

import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wholeframe.blocks import BLOCKS


@dataclass(frozen=True)
class Options:
    """List the blocks with their equations, parameters and multiply-adds for one size of map."""

    channels: int = 256
    """channels of the map"""
    grid: tuple[int, ...] = (14, 14)
    """grid of the map: one number for a sequence, two for an image, three for a clip"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe blocks")
    size = " x ".join(map(str, (options.channels, *options.grid)))
    table = Table(title=f"multiply-adds of one sample of {size}", title_justify="left", box=SIMPLE, show_lines=True)
    table.add_column("block", no_wrap=True)
    table.add_column("equation and source")
    table.add_column("parameters", justify="right")
    table.add_column("multiply-adds", justify="right")
    for name, entry in BLOCKS.items():
        block = entry.make(options.channels)
        parameters = sum(p.numel() for p in block.parameters())
        table.add_row(
            name,
            f"{escape(entry.equation)}\n[dim]{escape(entry.source)}[/dim]",
            f"{parameters:,}",
            f"{block.multiply_adds(options.grid):,}",
        )
    console = Console()
    console.width = max(console.width, 120)  # A pipe or a log has no width.
    console.print(table)
