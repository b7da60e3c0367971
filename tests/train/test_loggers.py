"""Where a training logs."""

import importlib.util

import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from wholeframe.train.loggers import EXTRA, loggers, refuse_logger


def test_the_table_is_always_there(tmp_path):
    table, every = loggers("csv", tmp_path / "run")
    assert every == [table] and type(table) is CSVLogger and table.log_dir.rstrip("/") == str(tmp_path / "run")
    table, every = loggers("tensorboard", tmp_path / "run")
    assert every[0] is table and isinstance(every[1], TensorBoardLogger) and len(every) == 2


@pytest.mark.parametrize("name", EXTRA)
def test_a_missing_package_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    for refused in (lambda: refuse_logger(name), lambda: loggers(name, tmp_path)):
        with pytest.raises(ValueError, match=f"--logger {name} needs the package {name}, which is not installed; `pip"):
            refused()
    refuse_logger("csv")
