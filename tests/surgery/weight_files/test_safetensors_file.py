"""Files of safetensors give what its own reader gives; a header that contradicts the file is refused."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from wholeframe.surgery.state_files import read_content
from wholeframe.surgery.weight_files.safetensors_file import DTYPES, LARGEST_HEADER


def written(dtype):
    """Whether the installed safetensors writes tensors of this dtype: that of version 0.5 has no unsigned ones."""
    try:
        save({"a": torch.ones(1).to(dtype)})
    except KeyError:
        return False
    return True


def test_what_safetensors_writes(tmp_path):
    tensors = {str(dtype): torch.ones(3).to(dtype) for dtype in DTYPES.values() if written(dtype)}
    assert len(tensors) >= 12
    tensors |= {"number": torch.tensor(2.0), "empty": torch.empty(0, 3), "map": torch.arange(6.0).reshape(2, 3)}
    save_file(tensors, tmp_path / "a", {"made": "here"})
    theirs, mine = load_file(tmp_path / "a"), read_content(tmp_path / "a")
    assert mine.keys() == theirs.keys() == tensors.keys()
    for name, tensor in theirs.items():
        assert mine[name].dtype == tensor.dtype and mine[name].shape == tensor.shape
        assert mine[name].view(-1).view(torch.uint8).tolist() == tensor.view(-1).view(torch.uint8).tolist()
    mine["map"][0, 0] = 9
    assert load_file(tmp_path / "a")["map"][0, 0] == 0, "the file is as it was"


def entry(begin=0, end=16, shape=(4,), dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def file(header, values=bytes(16), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (file({"w": entry()}, length=10**6), "its header has 1000000 bytes, and the file"),
        (file({"w": entry()}, length=2**39), "its header has"),
        (file({"w": entry()}, length=20), "it is not JSON"),
        (file(b'{"w":' + b"[" * 10**5), "it is not JSON"),
        (file(b'{"w": "\xff"}'), "it is not JSON"),
        (file(b'{"a": 1, "a": 1}'), "names a tensor twice"),
        (file({"w": entry(), "__metadata__": {"a": 1}}), "metadata are not names and strings"),
        (file({"w": entry(), "__metadata__": "a"}), "metadata are not names and strings"),
        (file({"w": entry(), "v": entry()}), "begins at 0, and the tensor before ends at 16"),
        (file({"w": entry(), "v": entry(8, 24)}, bytes(24)), "begins at 8, and the tensor before ends at 16"),
        (file({"w": entry(), "v": entry(20, 36)}, bytes(36)), "begins at 20, and the tensor before ends at 16"),
        (file({"w": entry(4, 20)}, bytes(20)), "begins at 4, and the tensor before ends at 0"),
        (file({"w": entry(16, 0)}), "has -16"),
        (file({"w": entry()}, bytes(15)), "describes 16 bytes of values, and it has 15"),
        (file({"w": entry()}, bytes(17)), "describes 16 bytes of values, and it has 17"),
        (file({"w": entry(shape=(2**40, 2**40))}), "takes 4835703278458516698824704 bytes"),
        (file({"w": entry(shape=(2**62, 4))}), "its entry of 'w' is not valid"),
        (file({"w": entry(shape=(-2, -2))}), "its entry of 'w' is not valid"),
        (file({"w": entry(shape=(4.0,))}), "its entry of 'w' is not valid"),
        (file({"w": entry(shape=(True,) * 4)}), "its entry of 'w' is not valid"),
        (file({"w": entry(shape=(1,) * 40)}), "its entry of 'w' is not valid"),
        (file({"w": entry(more=1)}), "its entry of 'w' is not valid"),
        (file({"w": 4}), "its entry of 'w' is not valid"),
        (file({"w": {**entry(), "shape": 4}}), "its entry of 'w' is not valid"),
        (file({"w": {**entry(), "data_offsets": [0]}}), "its entry of 'w' is not valid"),
        (file({"w": entry(dtype="F4")}), "has 'w' in F4; weights are read in"),
        (file({"w": {**entry(), "dtype": ["F32"]}}), "weights are read in"),
        (file({"a\x1b[31m\n": 4}), r"'a\x1b[31m\n' is not valid"),
    ],
)
def test_headers_that_are_refused(refused, content, words):
    assert words in refused(content, "a.safetensors")


def test_a_large_header(refused):
    content = file(b"{" + b" " * LARGEST_HEADER + b"}")
    assert f"a header of {LARGEST_HEADER + 2} bytes" in refused(content)


def test_truncations(refused, tmp_path):
    save_file({"w": torch.arange(30.0), "v": torch.ones(3)}, tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for length in (*range(0, len(whole), 11), len(whole) - 1):
        refused(whole[:length], "a.safetensors")
