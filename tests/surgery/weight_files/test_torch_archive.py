"""Archives of `torch.save` give what torch reads; every other archive and every contradiction is refused."""

import io
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from wholeframe.surgery.state_files import read_content
from wholeframe.surgery.weight_files import machine

BASE = torch.arange(24.0).reshape(4, 6)
TENSORS = {
    "views": [BASE, BASE[1:3], BASE.t(), BASE[:, ::2], BASE[3], torch.zeros(1).expand(3, 2)],
    "dtypes": [
        torch.ones(3).to(dtype)
        for dtype in (
            *(torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8),
            *(torch.uint8, torch.bool, torch.complex64),
        )
    ],
    "parameter": nn.Parameter(torch.ones(2)),
    "empty": torch.empty(0, 3),
    "number": torch.tensor(3.0),
}
PLAIN = {
    "epoch": 3,
    "loss": [1.5, float("inf"), None, -(2**40)],
    "size": torch.Size([1, 2]),
    "dtype": torch.float16,
    "names": ("ä", ("b",)),
    "shared": [[1, 2]] * 2,
}


def same(mine, theirs):
    if isinstance(theirs, torch.Tensor):
        assert mine.dtype == theirs.dtype and mine.stride() == theirs.stride() and torch.equal(mine, theirs)
    elif isinstance(theirs, dict):
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            same(mine[name], value)
    elif isinstance(theirs, list):
        for one, other in zip(mine, theirs, strict=True):
            same(one, other)
    else:
        assert mine == theirs


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False])
def test_what_torch_saves(tmp_path, protocol, new):
    """As an archive, and in the old format."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"betas": (0.9, 0.999), "params": [0]}]}
    states = {"model": network.state_dict(), "optimizer": optimizer, "best": np.float64(0.5)}
    content = {**TENSORS, **PLAIN, **states}
    torch.save(content, tmp_path / "a", pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    read = read_content(tmp_path / "a")
    same(read, content)
    assert vars(read["model"]) == vars(network.state_dict())
    (tmp_path / "a").write_bytes(b"")
    same(read, content)
    read["views"][0][1, 0] = 7  # memory of its own, which views share
    assert read["views"][1][0, 0] == 7


def test_dtypes_without_a_storage_of_their_own(tmp_path):
    content = [torch.ones(3).to(dtype) for dtype in (torch.uint16, torch.float8_e4m3fn, torch.float8_e5m2)]
    torch.save(content, tmp_path / "a")
    for mine, theirs in zip(read_content(tmp_path / "a"), content, strict=True):
        assert mine.dtype == theirs.dtype and torch.equal(mine.float(), theirs.float())


def number(value):
    return b"L%dL\n" % value


def tensor(first=0, sizes=(4,), strides=(1,), count=4, kind="torch\nFloatStorage", function="_rebuild_tensor_v2"):
    """A tensor of four numbers, as a pickle of torch."""
    sizes, strides = ((b"(" + b"".join(map(number, parts)) + b"t") for parts in (sizes, strides))
    storage = b"(Vstorage\nc%s\nV0\nVcpu\n%stQ" % (kind.encode(), number(count))
    return b"ctorch._utils\n%s\n(%s%s%s%s\x89NtR" % (function.encode(), storage, number(first), sizes, strides)


FOUR = struct.pack("<4f", 1, 2, 3, 4)


def archive(body, members=None, folder="a", compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        file.writestr(f"{folder}/data.pkl", b"\x80\x02" + body + b".")
        for name, content in ({"data/0": FOUR} if members is None else members).items():
            file.writestr(f"{folder}/{name}", content)
    return stream.getvalue()


def test_archives_by_hand(tmp_path):
    """The hostile ones below differ from this in one thing each."""
    (tmp_path / "a").write_bytes(archive(tensor()))
    assert torch.equal(read_content(tmp_path / "a"), torch.tensor([1.0, 2, 3, 4]))
    (tmp_path / "a").write_bytes(archive(tensor(sizes=(2,), first=1, strides=(2,), kind="torch.cuda\nFloatStorage")))
    assert torch.equal(read_content(tmp_path / "a"), torch.tensor([2.0, 4]))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tensor(sizes=(5,)), "sizes (5,) that reads beyond the 4 elements"),
        (tensor(first=1), "reads beyond the 4 elements"),
        (tensor(strides=(2,)), "reads beyond the 4 elements"),
        (tensor(sizes=(10**6, 10**6), strides=(0, 0)), "written out"),
        (tensor(sizes=(10**9, 10**9, 10**9), strides=(10**9, 10**9, 1)), "reads beyond the 4 elements"),
        (tensor(sizes=(-4,)), "impossible sizes or strides"),
        (tensor(strides=(-1,)), "impossible sizes or strides"),
        (tensor(first=-1), "impossible sizes or strides"),
        (tensor(sizes=(2**63,)), "impossible sizes or strides"),
        (tensor(sizes=(1,) * 40, strides=(1,) * 40), "reads beyond"),
        (tensor(sizes=(2, 2)), "impossible sizes or strides"),
        (tensor(count=5), "has 16 bytes for its storage '0' of 20 bytes"),
        (tensor(count=2**50), "has 16 bytes for its storage '0' of"),
        (tensor(count=-1), "is damaged"),
        (tensor(kind="torch\nDoubleStorage"), "has 16 bytes for its storage '0' of 32 bytes"),
        (tensor(kind="torch\nQInt8Storage"), "Python objects (torch.QInt8Storage)"),
        (b"(" + tensor() + tensor(count=2) + b"t", "describes its storage '0' in two ways"),
        (tensor(kind="torch\nSize"), "is damaged"),
        (tensor(function="_rebuild_sparse_tensor"), "a tensor that is not dense"),
        (tensor(function="_rebuild_qtensor"), "a tensor that is not dense"),
        (tensor(function="_rebuild_meta_tensor_no_storage"), "a tensor that is not dense"),
        (tensor(function="_rebuild_wrapper_subclass"), "a tensor that is not dense"),
        (tensor(function="_import_dotted_name"), "Python objects (torch._utils._import_dotted_name)"),
        (b"ctorch.storage\n_load_from_bytes\n(C\x03abctR", "Python objects (torch.storage._load_from_bytes)"),
        (b"ctorch\nload\n(Vx\ntR", "Python objects (torch.load)"),
        (b"ctorch.hub\nload\n(Vx\ntR", "Python objects (torch.hub.load)"),
        (b"ctorch\nempty\n(L1000000000000L\ntR", "Python objects (torch.empty)"),
        (b"ctorch\nTensor\n(L1000000000000L\ntR", "Python objects (torch.Tensor)"),
        (b"cos\nsystem\n(Vtouch ran\ntR", "Python objects (os.system)"),
        (b"(Vmodule\ncos\nsystem\nVa\nVb\ntQ", "Python objects (os.system)"),
        (b"(Vmodule\nVa\nVb\nVc\nVd\ntQ", "is damaged"),
        (b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nL4L\ntQ", "holds a Storage where a value is due"),
        (b"ccollections\nOrderedDict\n)R}Vforward\nL1L\nsb", "a state dict with attributes (['forward'])"),
        (b"ctorch\nSize\n(L1000000000000L\ntR", "is damaged"),
        (b"ctorch\ndevice\n(DOUBLEDtR", "is damaged"),
        (b"(Vstorage\nctorch\nFloatStorage\nDOUBLEDVcpu\nL4L\ntQ", "is damaged"),
        (b"(DOUBLEDctorch\nFloatStorage\nV0\nVcpu\nL4L\ntQ", "is damaged"),
        (b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nDOUBLEDtQ", "is damaged"),
        (b"ccollections\nOrderedDict\n)RDOUBLEDb", "is damaged"),
        (b"ctorch\ndevice\n(ctorch\nSize\ntR" + b"(" * 3, "is damaged"),
    ],
)
def test_pickles_that_are_refused(refused, body, words):
    doubled = b"N" + b"q\x00h\x00\x86" * 64
    body = body.replace(b"DOUBLED", doubled)
    assert words in refused(archive(body))


def test_one_storage_in_many_tensors(refused, monkeypatch):
    monkeypatch.setattr(machine, "SPARE", 2**10)
    assert "written out" in refused(archive(b"](" + tensor(count=4) + b"q\x00" + b"h\x00" * 500 + b"e"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "has no values for its storage '0'"),
        ({"data/0": FOUR[:-1]}, "has 15 bytes"),
        ({"data/0": FOUR + b"0"}, "has 17 bytes"),
        ({"data/0": FOUR, "byteorder": b"big"}, "byte order of another machine"),
        ({"data/0": FOUR, "constants.pkl": b""}, "is a TorchScript program"),
    ],
)
def test_members_that_are_refused(refused, members, words):
    assert words in refused(archive(tensor(), members))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.npy", "b.npy"], "is an archive of numpy"),
        (["config.json", "model.weights.h5"], "is a model of Keras"),
        (["a/archive_format", "a/models/model.json"], "is an exported program of torch"),
        (["inner/weights.pth", "README"], "unpack it with `unzip`"),
        (["a/data.pkl", "b/data.pkl"], "is a zip archive without weights"),
        (["data.pkl"], "is a zip archive without weights"),
    ],
)
def test_other_archives(refused, names, words):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, b"\x80\x02N.")
    assert words in refused(stream.getvalue())


def test_compressed_archives(refused):
    """A zip bomb is one: a member takes a thousandth of its size."""
    bomb = archive(tensor(count=2**22), {"data/0": bytes(2**24)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**15 and "is a compressed archive" in refused(bomb)


def changed(content, change):
    """An archive with a false table of contents."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as file:
        file.comment = b"changed"  # so that the table is written again
        change(file)
    return stream.getvalue()


def test_false_tables_of_contents(refused):
    whole = archive(tensor())

    def within_another(file):
        file.filelist.append(renamed(file.filelist[-1], "a/data/1"))

    def twice(file):
        file.filelist.append(renamed(file.filelist[-1], "a/data/0"))

    def larger(file):
        file.filelist[-1].file_size = file.filelist[-1].compress_size = 2**40

    def declared(file):
        file.filelist[-1].file_size = 2**40

    def elsewhere(file):
        file.filelist[-1].header_offset = 10**6

    def locked(file):
        file.filelist[-1].flag_bits = 1

    for change in (within_another, twice, larger, elsewhere):
        assert "is not where it should be" in refused(changed(whole, change))
    for change in (declared, locked):
        assert "is a compressed archive" in refused(changed(whole, change))


def test_two_members_of_one_name(refused):
    whole = archive(tensor(), {"data/0": FOUR, "data/1": FOUR})

    def same_name(file):
        file.filelist[-1].filename = file.filelist[-2].filename

    assert "its 'a/data/0' is not where it should be" in refused(changed(whole, same_name))


def renamed(info, name):
    other = zipfile.ZipInfo(name)
    other.header_offset, other.CRC = info.header_offset, info.CRC
    other.file_size, other.compress_size = info.file_size, info.compress_size
    return other


def test_a_table_of_many_members(refused):
    whole = archive(tensor())
    table = whole.rindex(b"PK\x01\x02")
    end = whole.rindex(b"PK\x05\x06")
    entry = whole[table:end]
    many = entry * (2**23 // len(entry) + 1)
    last = whole[end : end + 12] + struct.pack("<II", len(many), table) + b"\0\0"
    assert "a table of contents larger than any" in refused(whole[:table] + many + last)


def test_damage(refused, tmp_path):
    stream = io.BytesIO()
    torch.save({"w": torch.arange(1000.0), "v": torch.ones(3)}, stream)
    whole = stream.getvalue()
    for length in range(4, len(whole), len(whole) // 40):
        refused(whole[:length])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    assert "the checksum of" in refused(bytes(flipped))
    refused(whole[:100] + bytes(len(whole) - 100))
    unsummed = changed(whole, lambda file: [setattr(info, "CRC", 0) for info in file.filelist])
    (tmp_path / "a").write_bytes(unsummed)
    assert read_content(tmp_path / "a").keys() == {"w", "v"}, "torch can leave checksums out"


def test_tensors_that_are_not_dense(refused):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strange = [
            torch.eye(3).to_sparse(),
            torch.eye(3).to_sparse_csr(),
            torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            torch.ones(3, device="meta"),
            torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        ]
    for tensor_ in strange:
        stream = io.BytesIO()
        torch.save(OrderedDict(w=tensor_), stream)
        assert "a tensor that is not dense" in refused(stream.getvalue())


def test_pickled_in_an_archive(refused):
    assert "runs code" in refused(archive(pickle.dumps(Ellipsis, 2)[2:-1] + b"(S'touch ran'\nios\nsystem\n"))
