"""Options by the names of other programs: one sentence with the right one."""

import re

import pytest

from wholeframe.commands.misnamed import NAMES, misnamed


@pytest.mark.parametrize(
    ("command", "typed", "right"),
    [
        ("train", "--batch-size", "--batch N"),
        ("train", "--learning-rate=0.1", "--lr X"),
        ("train", "--img_size", "--size N"),
        ("train", "--pretrained", "--weights DEFAULT"),
        ("train", "--model", "--backbone NAME"),
        ("train", "--num-workers", "--workers N"),
        ("evaluate", "--workers", "nothing: the recipe of the run has it"),
        ("evaluate", "--batch-size", "nothing: the recipe of the run has it"),
        ("predict", "--model", "the run folder, or the name of the network, alone and first"),
        ("compare", "--block", "--blocks NAME NAME ..."),
    ],
)
def test_the_right_name_is_given(refused, command, typed, right):
    told = refused(command, "digits", typed, "3")
    option = typed.partition("=")[0].replace("_", "-")
    assert told == f"wholeframe: `wholeframe {command}` has no option {option}; give {right}"


def test_other_arguments_pass():
    assert misnamed("train", ["digits", "--batch", "3", "model"]) is None
    assert misnamed("blocks", ["--batch-size"]) is None


@pytest.mark.parametrize("command", NAMES)
def test_no_option_of_a_command_is_called_misnamed_and_each_hint_is_one(call, capsys, command):
    """Of `train`, with all recipes: some have frames, warm-up or clips."""
    told = ""
    for recipe in ("digits", "clips", "imagenet") if command == "train" else ("",):
        with pytest.raises(SystemExit):
            call(command, *filter(None, [recipe]), "--help")
        told += capsys.readouterr().out
    options = set(re.findall(r"--[a-z][a-z0-9-]*", told))
    assert not options & NAMES[command].keys()
    hinted = {option for right in NAMES[command].values() for option in re.findall(r"--[a-z][a-z0-9-]*", right)}
    assert hinted <= options
