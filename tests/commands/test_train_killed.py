"""A training killed by SIGKILL and resumed ends with the very weights of one that was left alone."""

import signal
import subprocess
import sys
import time

import pytest
import torch
from metrics_table import without_speed

from wholeframe.commands import train
from wholeframe.train.run import Run, read_checkpoint

EPOCHS = 12
WAIT = 120  # seconds, for a machine that does a lot else


@pytest.mark.slow
def test_killed_and_resumed(tmp_path, make_photos):
    photos = make_photos(tmp_path / "photos", count=24)
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")

    def command(run):
        options = {"data": photos, "out": run.folder, "backbone": "small", "size": 16, "batch": 8, "workers": 0}
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return ["small_nl", *given, "--epochs", str(EPOCHS), "--flip"]

    program = "import torch; torch.set_num_threads(1); from wholeframe.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "train", *command(killed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        end = time.monotonic() + WAIT
        while not killed.last.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, told.decode()
    assert 1 <= killed.epochs() < EPOCHS, "it was killed in the middle"

    train.main([*command(killed), "--resume"])
    train.main(command(whole))
    for name in ("last", "best"):
        first, second = (read_checkpoint(getattr(run, name)) for run in (whole, killed))
        assert first["epoch"] == second["epoch"]
        assert first["state_dict"].keys() == second["state_dict"].keys()
        for key, value in first["state_dict"].items():
            assert torch.equal(value, second["state_dict"][key]), f"{name}: {key}"
    assert without_speed(killed.metrics) == without_speed(whole.metrics)
