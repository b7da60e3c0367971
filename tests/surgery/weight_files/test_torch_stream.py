"""Files of torch before 1.6 (what they hold is compared in `test_torch_archive`): damage and objects are refused."""

import io
import pickle
import struct
import warnings

import pytest
import torch
from torch import nn

from wholeframe.surgery.state_files import read_content
from wholeframe.surgery.weight_files.torch_stream import is_torch_stream

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


def saved(content, protocol=2):
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    return stream.getvalue()


def stream(
    sizes=b"L4L\n", count=4, version=1001, system=None, keys=None, kind=b"FloatStorage", part=b"N", values=None, end=b""
):
    """A file by hand, with a tensor in the form of torch 0.3."""
    system = {"little_endian": True} if system is None else system
    body = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor\n((Vstorage\nctorch\n"
        + kind
        + b"\nV7\nVcpu\nL"
        + str(count).encode()
        + b"L\n"
        + part
        + b"tQL0L\n("
        + sizes
        + b"t(L1L\nttR."
    )
    values = struct.pack("<q4f", 4, 1, 2, 3, 4) if values is None else values
    head = b"".join(pickle.dumps(part, 2) for part in (version, system))
    return MAGIC + head + body + pickle.dumps(["7"] if keys is None else keys, 2) + values + end


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_head(protocol):
    assert is_torch_stream(saved(nn.Linear(1, 1).state_dict(), protocol)[:64])
    assert not is_torch_stream(pickle.dumps({"a": 1}, protocol))


def test_streams_by_hand(tmp_path):
    """The hostile ones below differ from this in one thing each."""
    (tmp_path / "a").write_bytes(stream())
    assert torch.equal(read_content(tmp_path / "a"), torch.tensor([1.0, 2, 3, 4]))
    (tmp_path / "a").write_bytes(stream(sizes=b"L2L\n", part=b"(V8\nL1L\nL2L\nt"))
    assert torch.equal(read_content(tmp_path / "a"), torch.tensor([2.0, 3])), "a storage within another"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": b"L5L\n"}, "reads beyond the 4 elements"),
        ({"part": b"(V8\nL3L\nL2L\nt"}, "reads beyond the 1 elements"),
        ({"part": b"(V8\nL9L\nL2L\nt"}, "reads beyond"),
        ({"part": b"(V8\nL-9L\nL2L\nt"}, "impossible sizes"),
        ({"count": 5}, "another number of values"),
        ({"count": 2**50, "values": struct.pack("<q", 2**50)}, "goes on for"),
        ({"version": 7}, "is of version 7"),
        ({"system": {"little_endian": False}}, "of another byte order"),
        ({"system": 7}, "of torch's old format"),
        ({"keys": []}, "other storages than its tensors need"),
        ({"keys": ["7", "7"]}, "other storages than its tensors need"),
        ({"keys": 7}, "no list of its storages"),
        ({"keys": [("7",)]}, "no list of its storages"),
        ({"version": ("a",)}, "is of version ?"),
        ({"values": struct.pack("<q", 4)}, "goes on for 16 bytes where 0 are left"),
        ({"end": b"more"}, "4 bytes after its end"),
        ({"kind": b"QInt8Storage"}, "Python objects (torch.QInt8Storage)"),
    ],
)
def test_streams_that_are_refused(refused, change, words):
    assert words in refused(stream(**change))


def test_truncations(refused):
    whole = saved({"w": torch.arange(30.0), "v": torch.ones(3)})
    for length in (*range(16, len(whole), 20), len(whole) - 1):
        refused(whole[:length])


def test_objects(refused):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it cannot find the source code of a class
        whole = saved(nn.Linear(1, 1))
    assert "Python objects (torch.nn.modules.linear.Linear)" in refused(whole)
    assert "instruction INST" in refused(MAGIC + b"\x80\x02(S'touch ran'\nios\nsystem\n.")
    assert "is a pickle that refers to another file" not in refused(saved(torch.eye(2).to_sparse()))
