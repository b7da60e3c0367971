"""What `wholeframe cost` prints and writes: the table of modules, sentences about the blocks, CSV files."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from wholeframe.messages import counted
from wholeframe.models.cost import Cost, Row
from wholeframe.models.turns import KINDS, Kind, Measured, interval
from wholeframe.surgery.placement import CHILD

MIB = 2**20


def module_table(rows: Sequence[Row], total: Row) -> Table:
    """One line per row that has a cost, and the total.

    A row of nothing but a peak adds nothing to the total, and the peak of the total is the largest of all; such rows
    are left out.
    """
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("module", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("parameters", "multiply-adds", "torch's counter", "kept in training", "peak in inference"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in filter(costs, rows):
        table.add_row(place(row.name, rows), row.kind, *_numbers(row))
    table.add_section()
    table.add_row("total", "", *_numbers(total))
    return table


def costs(row: Row) -> bool:
    """Whether a row has anything that adds to the total."""
    return bool(row.params or row.macs or row.torch_macs or row.kept)


def place(name: str, rows: Sequence[Row]) -> str:
    """The name of a row, with "rest of" where other rows have parts of its module; a block has that of its site."""
    inside = f"{name}." if name else ""
    shares = any(row.name != name and row.name.startswith(inside) for row in rows)
    name = name.removesuffix(f".{CHILD}") or "the network"
    return f"rest of {name}" if shares else name


def blocks_add(found: Cost, whole: str) -> str:
    """What the blocks add to the same network without them (to `whole`), as a sentence."""
    blocks, total = found.blocks, found.total
    parts = {
        "parameters": (sum(row.params for row in blocks), total.params),
        "multiply-adds": (sum(row.macs for row in blocks), total.macs),
    }
    if total.kept is not None:
        parts["of the memory that training keeps"] = sum(row.kept or 0 for row in blocks), total.kept
    told = [
        f"all {what}" if part == everything else f"{_percent(part / (everything - part))} {what}"
        for what, (part, everything) in parts.items()
    ]
    added = f"{kinds(row.kind for row in blocks)} add{'s' * (len(blocks) == 1)} to the {whole} without"
    return f"{added} {'it' if len(blocks) == 1 else 'them'}: {', '.join(told)}"


def blocks_cost(blocks: str, name: str, full: Mapping[Kind, Measured], bare: Mapping[Kind, Measured]) -> list[str]:
    """The sentences that compare a network with the same one without its blocks."""
    told = []
    for kind in KINDS:
        ratios = [ours / theirs - 1 for ours, theirs in zip(full[kind].ms, bare[kind].ms, strict=True)]
        time, memory = interval(ratios), full[kind].mib / bare[kind].mib - 1
        unsure = ", which this measurement cannot tell from 0" if time.low <= 0 <= time.high else ""
        what = "in inference" if kind == "inference" else "in a training step"
        told.append(
            f"{blocks} cost{'s' * blocks.startswith('1 ')} this {name} {_percent(time.median)} of time "
            f"({_percent(time.low)} to {_percent(time.high)}{unsure}) and {_percent(memory)} of memory {what}"
        )
    return told


def turns_table(measured: Mapping[str, Mapping[Kind, Measured]]) -> Table:
    """Median, interval and memory of every network and kind of pass."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("measured")
    table.add_column("", overflow="fold")
    for name in ("median, ms", "range, ms", "peak memory, MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind in KINDS:
        for name, passes in measured.items():
            time = interval(passes[kind].ms)
            table.add_row(
                kind, name, f"{time.median:,.1f}", f"{time.low:,.1f} to {time.high:,.1f}", f"{passes[kind].mib:,.1f}"
            )
    return table


def kinds(names: Iterable[str]) -> str:
    """`13 GlobalContext blocks`."""
    return _in_a_row([counted(number, f"{kind} block") for kind, number in Counter(names).items()])


def write_modules(rows: Sequence[Row], file: Path) -> None:
    """Every module without those in it: a column adds up to the total, and the largest peak is that of the network."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(
            [
                "module",
                "class",
                "block",
                "parameters",
                "multiply-adds",
                "multiply-adds by torch's counter",
                "kept in training (bytes)",
                "peak in inference (bytes)",
            ]
        )
        for row in rows:
            block = "yes" if row.block else "no"
            kept = "" if row.kept is None else row.kept
            out.writerow([row.name, row.kind, block, row.params, row.macs, row.torch_macs, kept, row.peak])


def write_turns(measured: Mapping[str, Mapping[Kind, Measured]], file: Path) -> None:
    """The time of every turn."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(["network", "pass", "turn", "time (ms)", "peak memory (MiB)"])
        for name, passes in measured.items():
            for kind, each in passes.items():
                for turn, ms in enumerate(each.ms, 1):
                    out.writerow([name, kind, turn, ms, each.mib])


def _numbers(row: Row) -> tuple[str, ...]:
    kept = "not counted" if row.kept is None else f"{row.kept / MIB:,.2f} MiB"
    return f"{row.params:,}", f"{row.macs:,}", f"{row.torch_macs:,}", kept, f"{row.peak / MIB:,.2f} MiB"


def _percent(share: float) -> str:
    """`9.9 %`, with two significant digits below 1 %."""
    return f"{100 * share:.2g} %" if abs(share) < 0.01 else f"{100 * share:.1f} %"


def _in_a_row(texts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)
