"""A file that is damaged anywhere is refused in one sentence, and so is one that `wf.save` did not write."""

import random
import struct

import pytest
import torch
from safetensors.torch import save_file

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.store.read import is_network_file, read, read_header


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a whole file."""
    path = tmp_path_factory.mktemp("whole") / "n.safetensors"
    network = create_backbone("small", 3)
    wf.insert(network, wf.GlobalContext, at="stage2", example=torch.randn(1, 3, 16, 16))
    wf.save(network, path, input=(3, 16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
    return path.read_bytes()


def sizes(content):
    return struct.unpack("<Q", content[:8])[0]


def at(content, place, byte=None):
    """The content with another byte in one place."""
    return content[:place] + bytes([content[place] ^ 1 if byte is None else byte]) + content[place + 1 :]


DAMAGES = {
    "empty": lambda c: b"",
    "cut in the length": lambda c: c[:5],
    "cut in the header": lambda c: c[: sizes(c) // 2],
    "cut in the tensors": lambda c: c[:-100],
    "more bytes at the end": lambda c: c + b"\0" * 8,
    "length too small": lambda c: struct.pack("<Q", sizes(c) - 3) + c[8:],
    "length absurd": lambda c: struct.pack("<Q", 2**62) + c[8:],
    "brace": lambda c: at(c, 8, 0x20),
    "an offset": lambda c: c.replace(b'"data_offsets":[0,', b'"data_offsets":[4,', 1),
    "a dtype": lambda c: c.replace(b'"dtype":"F32"', b'"dtype":"I32"', 1),
    "a shape": lambda c: c.replace(b"[48,48,3,3]", b"[48,3,48,3]", 1),
    "a tensor's name": lambda c: c.replace(b'"stage1.0.weight"', b'"stage1.0.weighs"', 1),
    "a mean": lambda c: c.replace(b"0.5, 0.5", b"0.5, 0.6", 1),
    "a setting of the block": lambda c: c.replace(b'\\"ratio\\": 0.0625', b'\\"ratio\\": 0.0626', 1),
    "the checksum": lambda c: c.replace(b'"sha256":"', b'"sha256":"0', 1),
    "the format": lambda c: c.replace(b'"format":"pt"', b'"format":"np"', 1),
    "the first weight": lambda c: at(c, 8 + sizes(c) + 1),
    "the last weight": lambda c: at(c, len(c) - 1),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused(whole, tmp_path, name):
    damaged = DAMAGES[name](whole)
    assert damaged != whole
    file = tmp_path / "n.safetensors"
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"n\.safetensors") as caught:
        wf.load(file)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_one_flipped_bit_anywhere_is_refused(whole, tmp_path):
    draw, file = random.Random(0), tmp_path / "n.safetensors"
    end = 8 + sizes(whole)
    for place in [*(draw.randrange(end) for _ in range(60)), *(draw.randrange(end, len(whole)) for _ in range(10))]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"n\.safetensors"):
            read(file)


def test_files_that_wf_save_did_not_write(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2)}, file)
    with pytest.raises(ValueError, match=r"holds weights and not which network they belong to; `wf.restore"):
        wf.load(file)
    assert not is_network_file(file)
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w.pt' is not a whole file of safetensors; give a file that wf.save wrote"):
        wf.load(tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"there is no file"):
        wf.load(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"is a folder; `wf.load_run` takes a run folder"):
        wf.load(tmp_path)


def test_the_header_alone(whole, tmp_path):
    file = tmp_path / "n.safetensors"
    file.write_bytes(whole)
    assert is_network_file(file) and read_header(file).mean == (0.5,) * 3


def test_loaded_tensors_do_not_depend_on_the_file(whole, tmp_path):
    file = tmp_path / "n.safetensors"
    file.write_bytes(whole)
    network = wf.load(file)
    before = [value.clone() for value in network.state_dict().values()]
    file.write_bytes(b"\0" * len(whole))
    assert all(map(torch.equal, before, network.state_dict().values()))
