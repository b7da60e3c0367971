"""`wholeframe convert FILE -o OUT.safetensors`: a whole file of another repository to one file of ours, and back."""

import ast
import functools
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.table import Table
from torch import nn

from wholeframe.commands.plain import console
from wholeframe.commands.writable import writable
from wholeframe.convert import WHOLE, checkpoint, to
from wholeframe.messages import in_quotes, listed, shown
from wholeframe.store.load import load
from wholeframe.store.save import save
from wholeframe.surgery.record import blocks_of
from wholeframe.train.network_file import holds_network
from wholeframe.train.opened import open_model


@dataclass(frozen=True)
class Options:
    """Convert a whole file of another repository to one file of ours, or with --to one of our networks to theirs."""

    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = None
    """weights of another repository: of `torch.save`, safetensors, or a Caffe2 pickle; no code in it is run. With --to
    a MODEL of ours: a file of `wf.save`, a run folder, or a network by name"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="OUT")] = None
    """the file to write: safetensors, which `wf.load` and the other commands read, or with --to one of `torch.save`;
    without it only the report is printed"""
    to: str | None = None
    """write a network of ours in the names of another repository: mmcv, slowfast or timm"""
    source: str | None = None
    """the repository, a name of --list; found by the names of the tensors where they fit one alone"""
    options: tuple[str, ...] = ()
    """what the tensors do not show, as NAME=VALUE, such as convention=caffe2 or stride=1x1; --list has the names"""
    list: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """list the repositories, and stop"""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Options, args=arguments, prog="wholeframe convert")
    if options.list:
        console(least=132).print(sources())
        return
    if options.file is None:
        raise ValueError("give the FILE to convert, or --list for the repositories that are known")
    if options.to is not None:
        if options.source is not None or options.options:
            raise ValueError("--source and --options describe a file of another repository; leave them out with --to")
        _back(options.file, options.to, options.out)
        return
    if holds_network(options.file):
        raise ValueError(
            f"'{shown(options.file)}' is a file of wf.save already, which every command takes; give --to mmcv, "
            "slowfast or timm to write it in the names of another repository"
        )
    if options.out is not None:
        _refuse_out(options.file, options.out)
        writable(options.out)
    converted = checkpoint(options.file, options.source, **given(options.options))
    print(converted)
    if options.out is None:
        return
    said = ", ".join([repr(str(options.file)), *(f"{k}={v!r}" for k, v in given(options.options).items())])
    call = f"`wf.convert.checkpoint({said}).blocks`"
    if converted.network is None:
        raise ValueError(
            f"the file has blocks alone ({listed(in_quotes(converted.blocks))}), whose network has no counterpart "
            f"here; take them in Python: {call}"
        )
    _in_one_dtype(converted.network)
    facts: dict[str, Any] = {"input": converted.input, "mean": converted.mean, "std": converted.std}
    notes = {"converted from": f"{converted.source}, {converted.repository}", **converted.report.conventions}
    _say_written_over(options.out)
    print(save(converted.network, options.out, licence=converted.licence, notes=notes, **facts))
    inside = {block.site for block in blocks_of(converted.network)}
    if apart := [name for name in converted.blocks if name not in inside]:
        print(f"not written, because the network has no site for them: {listed(in_quotes(apart))}; take them by {call}")


def _say_written_over(out: Path) -> None:
    if out.exists():
        print(f"'{shown(out)}' is there already, and is written over")


def _in_one_dtype(network: nn.Module) -> None:
    """Write weights of several dtypes, as mixed precision leaves them, in one that has all their values."""
    dtypes = {tensor.dtype for tensor in network.state_dict().values() if tensor.is_floating_point()}
    computed = {torch.float32 if dtype.itemsize == 1 else dtype for dtype in dtypes}  # No layer runs in 8 bits.
    if len(dtypes) > 1 or computed != dtypes:
        widest = functools.reduce(torch.promote_types, computed)
        names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
        print(f"weights of {' and '.join(names)} are written as {str(widest).removeprefix('torch.')}, without a change")
        network.to(widest)


def _back(model: Path, target: str, out: Path | None) -> None:
    """Write a network of ours in the names of another repository."""
    if out is not None:
        writable(out)
    if holds_network(model):  # Its weights are written in the dtype that they have.
        network = load(model)
    else:
        opened = open_model(str(model))
        network = opened.network
        if opened.untrained:
            print(f"'{shown(model)}' has random weights, and so has what is written")
    written = to(network, target)
    print(written)
    if out is not None:
        _say_written_over(out)
        print(f"written to '{shown(written.save(out))}'")


def given(options: tuple[str, ...]) -> dict[str, Any]:
    """The options of the source: Python literals, or text."""
    found: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--options {shown(option)!r} is not NAME=VALUE, such as convention=caffe2")
        if name in found:
            raise ValueError(f"--options has {name!r} twice; give it once")
        try:
            found[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[name] = text
    return found


def sources() -> Table:
    """The repositories, with the options of each."""
    table = Table(box=None, pad_edge=False)
    for column in ("source", "repository", "licence", "options"):
        table.add_column(column, overflow="fold")
    for name, source in WHOLE.items():
        table.add_row(name, source.repository, source.licence, _options(source.plan))
    return table


def _options(plan: Any) -> str:
    """The options of a plan, and which of them has no default."""
    parameters = [p for p in inspect.signature(plan).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return ", ".join(p.name if p.default is not p.empty else f"{p.name} (has to be given)" for p in parameters)


def _refuse_out(file: Path, out: Path) -> None:
    if out.suffix != ".safetensors":
        raise ValueError(f"--out '{shown(out)}' is written as safetensors; give a name that ends in .safetensors")
    if out.exists() and file.exists() and out.samefile(file):
        raise ValueError(f"--out '{shown(out)}' is the file that is converted; give another name")
