"""`wholeframe NAME ...` runs commands/NAME.py; only the command that is asked for is imported."""

import difflib
import importlib
import importlib.metadata
import sys

COMMANDS = {
    "compare": "train the same small network without and with each block, and print a table",
    "train": "train a recipe on a folder of images, into a run folder",
    "evaluate": "accuracy of a run on a folder of images",
    "explain": "a picture of what the blocks of a run look at in a photograph",
    "bench": "time and memory of the blocks against their peers",
    "blocks": "the blocks: equation, parameters, multiply-adds",
    "models": "the named networks: paper, size, published accuracy",
    "cost": "what a network costs, beside what was published; measured if asked",
}


def main() -> None:
    """The entry point: bad input ends with one sentence and exit status 2."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return
    if name == "--version":
        print(importlib.metadata.version("wholeframe"))
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        sys.exit(refuse(f"there is no command {name!r}{f'; did you mean {near[0]!r}?' if near else ''}\n\n{usage()}"))
    try:
        importlib.import_module(f"wholeframe.commands.{name}").main(arguments)
    except (ValueError, OSError) as error:
        sys.exit(refuse(str(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def usage() -> str:
    """The commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: wholeframe COMMAND [options]", "", *lines, "", "wholeframe COMMAND --help tells more."])


def refuse(sentence: str) -> int:
    """Tell a person what was wrong; 2 is the exit status of bad input."""
    print(f"wholeframe: {sentence}", file=sys.stderr)
    return 2
