"""Blobs of Caffe2 and Detectron: which entries are arrays, and which files they are in."""

import os
import pickle

import numpy as np
import pytest
import torch

from wholeframe.convert.caffe2_pickle import is_blobs, read_blobs

ARRAYS = {"conv1_w": np.arange(6, dtype="f4").reshape(2, 3), "res_conv1_bn_s": np.ones(2, "f4")}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda blobs: {"blobs": blobs, "cfg": "A: 1"},
        lambda blobs: blobs,
        lambda blobs: {"model": blobs, "__author__": "x"},
    ],
)
def test_blobs(tmp_path, wrap):
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(wrap({**ARRAYS, "name": "r50"}), 2))
    assert is_blobs(file)
    blobs = read_blobs(file)
    assert list(blobs) == list(ARRAYS)
    assert all(torch.equal(blobs[name], torch.from_numpy(array)) for name, array in ARRAYS.items())


class Hostile:
    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_nothing_runs(tmp_path):
    hostile = Hostile()
    hostile.marker = tmp_path / "ran"
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps({"blobs": {**ARRAYS, "x": hostile}}, 2))
    with pytest.raises(ValueError, match=r"a.pkl' cannot be read .* Python objects \((posix|nt).system\)"):
        read_blobs(file)
    assert not hostile.marker.exists()


def test_files_without_blobs(tmp_path):
    file = tmp_path / "a.pkl"
    for content in ({"blobs": {}}, {"a": 1}, [1]):
        file.write_bytes(pickle.dumps(content, 2))
        with pytest.raises(ValueError, match=r"a.pkl' has no blobs; give a pickle with `blobs`"):
            read_blobs(file)


def test_files_of_torch_are_no_blobs(tmp_path):
    for new in (True, False):
        torch.save({"a": torch.ones(2)}, tmp_path / "a.pkl", _use_new_zipfile_serialization=new)
        assert not is_blobs(tmp_path / "a.pkl")
