"""Files in parts with an index."""

import json

import pytest
import torch
from safetensors.torch import save_file

from wholeframe.convert.sharded import read_whole

FIRST, SECOND = (f"model-0000{part}-of-00002.safetensors" for part in (1, 2))
PLACES = {"a": FIRST, "b": FIRST, "c": SECOND}


@pytest.fixture
def index(tmp_path):
    """Write the parts, and an index with these places."""
    save_file({"a": torch.ones(2), "b": torch.zeros(1)}, tmp_path / FIRST, {"format": "pt"})
    save_file({"c": torch.ones(3)}, tmp_path / SECOND)

    def write(content):
        path = tmp_path / "model.safetensors.index.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_all_parts_are_read(index):
    content = read_whole(index({"metadata": {"total_size": 24}, "weight_map": PLACES}))
    assert {name: tensor.tolist() for name, tensor in content.items()} == {"a": [1, 1], "b": [0], "c": [1, 1, 1]}


def test_parts_of_torch_save_are_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model-00001-of-00001.bin")
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}))
    assert read_whole(path)["a"].tolist() == [1, 1]
    assert read_whole(tmp_path / "pytorch_model-00001-of-00001.bin")["a"].tolist() == [1, 1]


def test_a_part_alone_is_refused(index, tmp_path):
    index({"weight_map": PLACES})
    with pytest.raises(
        ValueError, match=r"is one of 2 parts of a file; give their index, 'model.safetensors.index.json'"
    ):
        read_whole(tmp_path / SECOND)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", r"is not an index of safetensors, .*\(JSONDecodeError\)"),
        ("[1]", "is not an index"),
        ({"weight_map": {}}, "is not an index"),
        ({"weight_map": {"a": 1}}, "is not an index"),
        ('{"weight_map": ' + "[" * 100000, "is not an index"),
        (
            {"weight_map": {"a": "../x.safetensors"}},
            r"names the part '../x.safetensors', which is not a file next to it",
        ),
        ({"weight_map": {"a": "/etc/passwd"}}, "which is not a file next to it"),
        ({"weight_map": PLACES | {"d": SECOND}}, r"differ in 1 tensor \('d'\), so they are not of one file"),
        ({"weight_map": {"a": FIRST, "c": SECOND}}, r"differ in 1 tensor \('b'\)"),
        ({"weight_map": {"a": "none.safetensors"}}, "there is no file .*none.safetensors"),
    ],
)
def test_other_indices_are_refused(index, content, reason):
    with pytest.raises(ValueError, match=reason):
        read_whole(index(content))
