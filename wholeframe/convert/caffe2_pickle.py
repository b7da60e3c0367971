"""Weights of Caffe2 and Detectron: a pickle `{"blobs": {name: array}}`, or the inner dictionary alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wholeframe.messages import shown
from wholeframe.surgery.state_files import read_content
from wholeframe.surgery.weight_files.pickles import is_pickle


def is_blobs(path: Path) -> bool:
    """Whether a file is a pickle as Caffe2, Detectron and Detectron2 write it, by its first bytes."""
    with path.open("rb") as stream:
        return is_pickle(stream.read(128))


def read_blobs(path: Path) -> dict[str, Tensor]:
    """The blobs of a Caffe2 or Detectron pickle.

    Source: caffe2's `workspace.FetchBlobs`, pickled by Python 2 in video-nonlocal-net, Detectron and the Caffe2 files
    of PySlowFast; Detectron2 has `model` where these have `blobs`.

    Args:
        path: the file. No code in it runs (`read_content`).

    Returns:
        The arrays by name, in the order of the file. Entries that are no arrays, such as a configuration, are left to
        `read_content`.

    Raises:
        ValueError: the file cannot be read, or has no arrays.
    """
    blobs = blobs_of(read_content(path))
    if not blobs:
        raise ValueError(f"'{shown(path)}' has no blobs; give a pickle with `blobs`, a dictionary of arrays by name")
    return blobs


def blobs_of(content: Any) -> dict[str, Tensor]:
    """The arrays in the content of a file; empty if it has none."""
    if isinstance(content, Mapping):
        inner = next((content[name] for name in ("blobs", "model") if isinstance(content.get(name), Mapping)), content)
        return {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    return {}
