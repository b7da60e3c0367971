"""The options of a block on the command line."""

import pytest

from wholeframe.blocks import BLOCKS
from wholeframe.commands.block_help import block_help, chosen_block, options_of, refuse_block_options


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_lists_its_options(name):
    told = block_help(name)
    assert told.startswith(f"options of the block {name!r}") and "channels" not in options_of(name)
    assert all(f"\n  {option} " in told for option in options_of(name))
    refuse_block_options(name, dict.fromkeys(options_of(name)))


def test_help_of_the_chosen_block(call, capsys):
    for arguments, words in [
        (("--block", "gc"), "  ratio       float (default: 0.0625)"),
        (("--block=cgnl",), "options of the block 'cgnl'"),
        ((), "options of the block 'nl'"),
        (("--block", "None"), "--block NAME --help lists the options of a block."),
    ]:
        with pytest.raises(SystemExit) as end:
            call("train", "small_nl", *arguments, "--help")
        assert end.value.code == 0 and words in capsys.readouterr().out
    assert chosen_block(["--lr", "1"], None) is None
    assert block_help("gcc").startswith("there is no block 'gcc'")


def test_options_that_cannot_be(refused, tmp_path):
    given = ("train", "small_nl", "--data", tmp_path, "--out", tmp_path / "run")
    told = refused(*given, "--block", "gc", "--block-options", "ratoi=1")
    assert told.startswith("wholeframe: the block 'gc' has no option 'ratoi'; it has ratio, min_hidden, hidden")
    assert "there is no block 'gcc'" in refused(*given, "--block", "gcc")
    told = refused(*given, "--block", "None", "--block-options", "ratio=1")
    assert "--block-options 'ratio' need a block" in told
