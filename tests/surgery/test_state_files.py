"""Files of weights: what they hold, in one sentence if it is not weights."""

import argparse
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wholeframe.surgery import state_files
from wholeframe.surgery.state_files import chosen_state, read_content, state_dicts, without_prefix

STATE = {"a.weight": torch.ones(2, 2), "a.bias": torch.zeros(2)}


def test_the_format_is_found_by_content(tmp_path):
    save_file(STATE, tmp_path / "weights.bin")
    torch.save(STATE, tmp_path / "weights.dat")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for file in tmp_path.iterdir():
        assert read_content(file).keys() == STATE.keys()


@pytest.mark.parametrize("new", [True, False])
def test_python_objects_are_named_and_not_called_damage(tmp_path, new):
    content = {"model": STATE, "args": argparse.Namespace(lr=1)}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(
        ValueError, match=r"it also holds Python objects \(argparse.Namespace\), and loading them"
    ) as told:
        read_content(tmp_path / "a.pth")
    assert "damaged" not in str(told.value)
    torch.save(nn.Linear(1, 1), tmp_path / "b.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(ValueError, match=r"it also holds Python objects .*Linear"):
        read_content(tmp_path / "b.pth")


def test_flipped_bytes_are_found(tmp_path):
    file = tmp_path / "a.pth"
    torch.save({"a": torch.arange(1000.0)}, file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.pth' is damaged: the checksum of .* differs"):
        read_content(file)


def test_other_files(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"nothing of the kind")
    (tmp_path / "b.pth").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("model/constants.pkl", b"")
    for name, words in [
        ("a.pth", "holds no weights, or is damaged"),
        ("b.pth", "holds no weights, or is damaged"),
        ("c.pth", "is a TorchScript program"),
        ("d.pth", "there is no file"),
    ]:
        with pytest.raises(ValueError, match=f"{name}.*{words}|{words}.*{name}"):
            read_content(tmp_path / name)


def test_state_dicts_of_a_content():
    assert list(state_dicts(STATE)) == [""]
    assert list(state_dicts({"a": STATE, "b": STATE, "c": 1})) == ["a", "b"]
    assert list(state_dicts({"model": {"state_dict": STATE}})) == ["model.state_dict"]
    assert state_dicts([1]) == state_dicts({"optimizer": {"state": {0: STATE}}}) == {}


def test_several_state_dicts_without_a_known_name():
    with pytest.raises(ValueError, match="'f' holds these state dicts: 'a', 'b'; save one of them alone"):
        chosen_state({"a": STATE, "b": STATE}, "'f'")
    with pytest.raises(ValueError, match="'f' holds no state dict"):
        chosen_state({"epoch": 1}, "'f'")


def test_prefixes():
    wrapped = {f"module.model.{key}": value for key, value in STATE.items()}
    assert without_prefix(wrapped)[0] == "module.model."
    assert without_prefix(wrapped, {"model.a.weight", "model.a.bias"})[0] == "module."
    assert without_prefix({**wrapped, "x": torch.ones(1)})[0] == "", "not in front of all keys"


def test_blobs_of_caffe2(tmp_path):
    """As `{"blobs": ...}`, as the blobs alone, and as `{"model": ...}` of Detectron2."""
    arrays = {name: tensor.numpy() for name, tensor in STATE.items()}
    for wrapped, said in [
        ({"blobs": arrays, "cfg": "A: 1"}, "its 'blobs'"),
        ({"blobs": arrays, "other": arrays}, "its 'blobs', not 'other'"),
        ({**arrays, "name": "r50"}, ""),
        ({"model": arrays, "__author__": "a"}, "its 'model'"),
    ]:
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(wrapped, 2))
        how, state = chosen_state(read_content(tmp_path / "a.pkl"), "'a'")
        assert how == said
        assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())


def test_a_name_with_control_characters(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file '.*a\\x1b'"):
        read_content(tmp_path / "a\x1b")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "a' cannot be read: Permission denied"),
        (MemoryError(), "a' takes more memory than is free"),
    ],
)
def test_a_machine_that_cannot_read_it(tmp_path, monkeypatch, error, words):
    def fail(path):
        raise error

    monkeypatch.setattr(state_files, "is_safetensors", fail)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(ValueError, match=words):
        read_content(tmp_path / "a")


READ = """
import re, sys
from pathlib import Path
import torch
from wholeframe.surgery.state_files import chosen_state, read_content

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
_, state = chosen_state(read_content(Path(sys.argv[1])), "it")
assert sum(float(tensor.sum()) for tensor in state.values()) == 2**24
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["archive", "stream", "safetensors", "pickle"])
def test_a_file_is_in_memory_once(tmp_path, kind):
    state = {f"layer{i}.weight": torch.ones(2**10, 2**10) for i in range(16)}
    if kind == "safetensors":
        save_file(state, tmp_path / "a")
    elif kind == "pickle":
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        (tmp_path / "a").write_bytes(pickle.dumps({"blobs": arrays}, 4))
    else:
        torch.save(state, tmp_path / "a", _use_new_zipfile_serialization=kind == "archive")
    done = subprocess.run([sys.executable, "-c", READ, tmp_path / "a"], capture_output=True, text=True, check=True)
    assert 2**26 <= int(done.stdout) <= 1.25 * 2**26
