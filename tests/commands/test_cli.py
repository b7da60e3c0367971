"""`wholeframe` itself: what it lists, and how it ends."""

import importlib.metadata

import pytest

from wholeframe import cli
from wholeframe.blocks import BLOCKS
from wholeframe.commands import blocks
from wholeframe.recipes import RECIPES


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_the_commands(call, capsys, arguments):
    call(*arguments)
    told = capsys.readouterr().out
    assert told.startswith("usage: wholeframe COMMAND")
    for name, what in cli.COMMANDS.items():
        assert f"  {name} " in told and what in told


def test_version(call, capsys):
    call("--version")
    assert capsys.readouterr().out.strip() == importlib.metadata.version("wholeframe")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(call, capsys, name):
    with pytest.raises(SystemExit) as end:
        call(name, "--help")
    assert end.value.code == 0 and f"usage: wholeframe {name}" in capsys.readouterr().out


def test_train_lists_its_recipes(call, capsys):
    with pytest.raises(SystemExit) as end:
        call("train", "--help")
    told = capsys.readouterr().out
    assert end.value.code == 0 and all(f"  {name} " in told for name in RECIPES)
    with pytest.raises(SystemExit) as end:
        call("train")
    assert end.value.code == 2


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_help(call, capsys, name):
    with pytest.raises(SystemExit) as end:
        call("train", name, "--help")
    assert end.value.code == 0 and f"usage: wholeframe train {name}" in capsys.readouterr().out


def test_an_unknown_command(refused):
    told = refused("trian")
    assert told.startswith("wholeframe: there is no command 'trian'; did you mean 'train'? usage:")
    assert "did you mean" not in refused("zzzzz")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a sentence"), 2),
        (FileExistsError("a sentence"), 2),
        (IsADirectoryError("a sentence"), 2),
        (PermissionError("a sentence"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_it_ends(call, capsys, monkeypatch, error, status):
    def fail(_arguments):
        raise error

    monkeypatch.setattr(blocks, "main", fail)
    with pytest.raises(SystemExit) as end:
        call("blocks")
    assert end.value.code == status
    assert capsys.readouterr().err == ("wholeframe: a sentence\n" if status == 2 else "")


def test_a_mistake_of_ours_is_not_hidden(call, monkeypatch):
    monkeypatch.setattr(blocks, "main", lambda _arguments: {}["no such key"])
    with pytest.raises(KeyError):
        call("blocks")


def test_blocks(capsys):
    blocks.main(["--channels", "64", "--grid", "7"])
    told = capsys.readouterr().out
    assert "multiply-adds of one sample of 64 x 7" in told
    for name, entry in BLOCKS.items():
        block = entry.make(64)
        assert f" {name} " in told
        assert f"{sum(p.numel() for p in block.parameters()):,}" in told and f"{block.multiply_adds((7,)):,}" in told
