"""Options by the names that other programs have: the hint of the right name."""

from collections.abc import Sequence

TRAIN = {
    "--batch-size": "--batch N",
    "--bs": "--batch N",
    "--learning-rate": "--lr X",
    "--base-lr": "--lr X",
    "--img-size": "--size N",
    "--image-size": "--size N",
    "--input-size": "--size N",
    "--imgsz": "--size N",
    "--resolution": "--size N",
    "--crop-size": "--size N",
    "--model": "--backbone NAME",
    "--arch": "--backbone NAME",
    "--architecture": "--backbone NAME",
    "--network": "--backbone NAME",
    "--pretrained": "--weights DEFAULT",
    "--num-workers": "--workers N",
    "--num-epochs": "--epochs N",
    "--max-epochs": "--epochs N",
    "--wd": "--weight-decay X",
    "--clip-grad": "--clip X",
    "--grad-clip": "--clip X",
    "--clip-grad-norm": "--clip X",
    "--data-dir": "--data DIR",
    "--data-path": "--data DIR",
    "--dataset": "--data DIR",
    "--root": "--data DIR",
    "--output": "--out RUN",
    "--output-dir": "--out RUN",
    "--out-dir": "--out RUN",
    "--save-dir": "--out RUN",
    "--work-dir": "--out RUN",
    "--logdir": "--out RUN",
    "--amp": "--precision bf16-mixed",
    "--fp16": "--precision 16-mixed",
    "--bf16": "--precision bf16-mixed",
    "--device": "--accelerator cpu, gpu or auto",
    "--gpus": "--accelerator gpu --devices N",
    "--num-gpus": "--accelerator gpu --devices N",
    "--finetune": "--start RUN, or --weights DEFAULT for published weights",
    "--init-from": "--start RUN",
    "--load-from": "--start RUN",
    "--model-ema": "--ema 0.999",
    "--ema-decay": "--ema X",
    "--smoothing": "--label-smoothing X",
    "--layer-decay": "--layer-lr X",
    "--warmup-epochs": "--warmup N, where the recipe has steps or a cosine",
    "--num-frames": "--frames N",
    "--num-classes": "nothing: the classes are those of the data",
    "--classes": "nothing: the classes are those of the data",
    "--ckpt": "--start RUN to begin with its weights, or --resume to continue it",
    "--checkpoint": "--start RUN to begin with its weights, or --resume to continue it",
}
"""For each option of other programs, the option of `train`."""

DATA = ("--data-dir", "--data-path", "--dataset", "--root")
BATCH = ("--batch-size", "--batch", "--bs", "--num-workers", "--workers")
SIZE = ("--img-size", "--image-size", "--input-size", "--imgsz", "--resolution", "--size")
NETWORK = ("--model", "--arch", "--architecture", "--network", "--backbone")
CHECKPOINT = ("--ckpt", "--checkpoint")
EPOCHS = ("--num-epochs", "--max-epochs")
OUT = ("--output", "--output-dir", "--out-dir", "--save-dir", "--work-dir", "--logdir")


def _all(names: Sequence[str], right: str) -> dict[str, str]:
    return dict.fromkeys(names, right)


NAMES: dict[str, dict[str, str]] = {
    "train": TRAIN,
    "evaluate": {
        **_all(DATA, "--data DIR"),
        **_all((*BATCH, *SIZE), "nothing: the recipe of the run has it"),
        **_all((*NETWORK, "--run"), "the run folder alone, first"),
        **_all(CHECKPOINT, "--weights last or best"),
    },
    "predict": {
        **_all((*BATCH, *SIZE), "nothing: the run, or the weights, have it"),
        **_all((*NETWORK, "--run"), "the run folder, or the name of the network, alone and first"),
        **_all((*DATA, "--input", "--file", "--image", "--video"), "the files alone, after the run"),
        **_all(CHECKPOINT, "--weights last or best, or --weights FILE for a named network"),
        "--pretrained": "--weights DEFAULT",
        "--topk": "--top N",
    },
    "explain": {
        **_all((*BATCH, *SIZE), "nothing: the run, or the network, has it"),
        **_all((*NETWORK, "--run"), "the run folder, or the name of the network, alone and first"),
        **_all(("--input", "--file", "--image", "--video", "--photo"), "the files alone, after the network"),
        **_all(CHECKPOINT, "--weights last or best, or --weights FILE for a named network"),
        **_all(("--layer", "--target-layer", "--block"), "--site NAME"),
        "--pretrained": "--weights DEFAULT",
        "--topk": "--top N",
    },
    "dependence": {
        **_all(DATA, "--data DIR"),
        **_all((*BATCH, *SIZE), "nothing: the run, or the weights, have it"),
        **_all((*NETWORK, "--run"), "the run folder, or the name of the network, alone and first"),
        **_all(CHECKPOINT, "--weights last or best, or --checkpoints for each of a run"),
        **_all(OUT, "--out DIR"),
        **_all(("--samples", "--count"), "--images N"),
    },
    "collapse": {
        **_all((*DATA, "--data"), "--calibration DIR and --check DIR, with different images"),
        **_all((*BATCH, *SIZE), "nothing: the run, or the weights, have it"),
        **_all((*NETWORK, "--run"), "the run folder, or the name of the network, alone and first"),
        **_all(CHECKPOINT, "--weights last or best"),
        "--threshold": "--tolerance SHARE",
    },
    "compare": {
        **_all(DATA, "--data DIR"),
        **_all(EPOCHS, "--epochs N"),
        **_all(OUT, "--out DIR"),
        **_all((*BATCH, *SIZE), "nothing: compare has one size and batch, so that its tables can be compared"),
        **_all(NETWORK, "nothing: compare has one small network; `wholeframe train` takes others"),
        "--seed": "--seeds N, the number of trainings",
        "--block": "--blocks NAME NAME ...",
    },
    "search": {
        **_all(DATA, "--data DIR"),
        **_all(EPOCHS, "--epochs N"),
        **_all(OUT, "--out DIR"),
        **_all((*BATCH, *SIZE), "nothing: search has the size and batch of compare"),
        **_all(NETWORK, "nothing: search has one small network; `wholeframe train` takes others"),
        **_all(("--timeout", "--time", "--n-trials", "--trials"), "--budget 2h, 5000steps or 25%"),
        "--block": "--blocks NAME NAME ...",
    },
    "curves": _all(("--run", "--runs", "--logdir"), "the run folders alone, first"),
    "cost": {
        **_all((*NETWORK, "--name"), "the name of the network alone, first"),
        **_all(SIZE, "--input and the sizes of a sample"),
    },
}
"""For each command, the options of other programs and what to give instead."""


def misnamed(command: str, arguments: Sequence[str]) -> str | None:
    """The hint for the first option that has another name here.

    Args:
        command: a name of `wholeframe --help`.
        arguments: what follows it.

    Returns:
        One sentence; None if no argument is such an option.
    """
    names = NAMES.get(command, {})
    for argument in arguments:
        typed = argument.partition("=")[0].replace("_", "-")
        if typed in names:
            return f"`wholeframe {command}` has no option {typed}; give {names[typed]}"
    return None
