"""`wholeframe NAME ...` runs commands/NAME.py.

Only that command is imported, so that help, the version and a mistyped command do not wait for torch.
"""

import importlib
import io
import sys

import wholeframe
from wholeframe.commands.misnamed import misnamed
from wholeframe.messages import did_you_mean, shown

COMMANDS = {
    "compare": "train the same small network without and with each block, and print a table",
    "search": "find the best block and place by successive halving, within a budget of time or steps",
    "train": "train a recipe on a folder of images or videos, into a run folder",
    "evaluate": "accuracy or mAP of a trained run on a labelled folder; per-sample predictions are saved",
    "predict": "the most probable classes of images or videos, or the objects that a detector finds",
    "explain": "draw what the blocks of a network look at, from chosen positions of a photograph or a clip",
    "curves": "draw the learning curves of runs over each other: error and loss by epoch",
    "dependence": "whether what the blocks do depends on the query, over a folder of images or videos",
    "collapse": "replace a non-local block by one with a single query, and measure what that changes",
    "convert": "a whole file of another repository to one file of ours",
    "quantize": "write a network with 8-bit weights for onnxruntime or torch, and print what that costs on images",
    "export": "write a network as ONNX, torch.export, AOTInductor or OpenVINO, compared with it at several sizes",
    "bench": "time and memory of the blocks, compared with other implementations",
    "blocks": "list the blocks: equation, source, parameters, multiply-adds",
    "models": "list the named networks: paper, size, published accuracy",
    "cost": "parameters, multiply-adds and memory of every module of a network; --measure adds time",
}


def main() -> None:
    """The entry point. Bad input ends with one sentence and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A file name may have bytes that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return
    if name == "--version":
        print(wholeframe.__version__)
        return
    if name not in COMMANDS:
        sys.exit(refuse(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}\n\n{usage()}"))
    if wrong := misnamed(name, arguments):
        sys.exit(refuse(wrong))
    try:
        importlib.import_module(f"wholeframe.commands.{name}").main(arguments)
    except (ValueError, OSError) as error:
        sys.exit(refuse(str(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def usage() -> str:
    """The commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: wholeframe COMMAND [options]",
            "",
            *lines,
            "",
            "`wholeframe COMMAND --help` lists its options.",
        ]
    )


def refuse(error: str) -> int:
    """Print an error to stderr, and return 2, the exit status of bad input."""
    # The error may quote a name with control characters, which a terminal would obey.
    lines = (shown(line, most=len(line) * 10) for line in error.split("\n"))
    print("wholeframe: " + "\n".join(lines), file=sys.stderr)
    return 2
