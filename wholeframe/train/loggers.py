"""Where a training logs: the table of its run folder, and one of Lightning's loggers."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

LoggerName = Literal["csv", "tensorboard", "wandb", "mlflow"]

EXTRA = ("wandb", "mlflow")
"""Loggers whose packages, of the same names, are not dependencies."""


def refuse_logger(name: LoggerName) -> None:
    """ValueError if the package of a logger is not installed."""
    if name in EXTRA and importlib.util.find_spec(name) is None:
        raise ValueError(
            f"--logger {name} needs the package {name}, which is not installed; `pip install {name}`, or give --logger "
            "tensorboard or csv"
        )


def loggers(name: LoggerName, folder: Path, done: int = 0) -> tuple[CSVLogger, list[Logger]]:
    """The loggers of a training.

    Args:
        name: "csv" for metrics.csv alone, which each training writes; or a further logger next to it.
        folder: the run folder, into which all files are written.
        done: steps that a resumed run has trained.

    Returns:
        The logger of metrics.csv, and all loggers, it among them.

    Raises:
        ValueError: the package of the logger is not installed.
    """
    refuse_logger(name)
    # An empty version makes both write into the run folder itself, without `version_0` below it.
    where: dict[str, Any] = {"save_dir": folder.parent, "name": folder.name, "version": ""}
    table = CSVLogger(**where)
    if name == "csv":
        return table, [table]
    if name == "tensorboard":
        # Readers of the events drop those that a killed run wrote after its checkpoint.
        return table, [table, TensorBoardLogger(**where, purge_step=done)]
    if name == "wandb":
        return table, [table, WandbLogger(name=folder.name, save_dir=folder, project="wholeframe")]
    uri = f"sqlite:///{(folder / 'mlflow.db').resolve()}"  # MLflow no longer develops its store of plain files.
    return table, [table, MLFlowLogger(experiment_name="wholeframe", run_name=folder.name, tracking_uri=uri)]
