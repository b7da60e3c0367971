"""Pickles of arrays are read as numpy wrote them; every gadget and bomb is refused."""

import os
import pickle
import struct
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from wholeframe.surgery.state_files import read_content
from wholeframe.surgery.weight_files import instructions, machine
from wholeframe.surgery.weight_files.pickles import is_pickle

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "conv1_w": GENERATOR.normal(size=(4, 3, 2)).astype("f4"),
    "long": np.arange(300, dtype="i8"),
    "fortran": np.asfortranarray(GENERATOR.normal(size=(3, 4))),
    "big_endian": np.arange(4, dtype=">f4"),
    "scalar": np.array(3.5),
    "empty": np.empty((0, 3), "f4"),
    "half": np.ones(3, "f2"),
    "flags": np.ones(3, bool),
    "bytes": np.array([200], "u1"),
}


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_data(tmp_path, protocol):
    plain = {
        "cfg": "MODEL:\n  DEPTH: 50\n" * 50,
        "mixed": [1, -(2**40), 2**63, 2.5, float("inf"), None, True, False, "ä"],
        "pair": (1, ("a",)),
        "set": {1, "a"},
        "ordered": OrderedDict(a=1),
        "counted": Counter("aab"),
        "number": np.float64(3.5),
    }
    file = tmp_path / "a.pkl"
    content = {"blobs": {**ARRAYS, "tied": ARRAYS["conv1_w"]}, **plain}
    file.write_bytes(pickle.dumps(content, protocol))
    read = read_content(file)
    blobs = read.pop("blobs")
    assert read == plain
    assert list(blobs) == [*ARRAYS, "tied"]
    for name, array in ARRAYS.items():
        expected = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        assert blobs[name].dtype == expected.dtype and torch.equal(blobs[name], expected)
    assert blobs["tied"].data_ptr() == blobs["conv1_w"].data_ptr()
    blobs["conv1_w"] += 1  # memory of its own


def text(string):
    return b"U" + bytes([len(string)]) + string


def array_of(
    values=None, shape=b"K\x02\x85", dtype=b"f4", state=b"K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"
):
    """An array as Python 2 and numpy 1 pickled it: values are a string."""
    values = struct.pack("<2f", 1, 2) if values is None else values
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01" + shape + b"cnumpy\ndtype\n("
        b"U" + bytes([len(dtype)]) + dtype + b"K\x00K\x01tR(" + state + b"tb\x89" + text(values) + b"tb"
    )


def pickled(body):
    return b"\x80\x02" + body + b"."


def test_strings_of_python_2(tmp_path):
    """Names are text, and values of any byte are values."""
    file = tmp_path / "a.pkl"
    for raw in (bytes(range(248, 256)), "ä".encode() * 4, b"\0'\"\\\n\r\ta"):
        file.write_bytes(pickled(b"}(" + text(b"w") + array_of(raw) + text("ä".encode()) + text(b"\xe9") + b"u"))
        read = read_content(file)
        assert read["w"].numpy().tobytes() == raw
        assert read["ä"] == "é" and all(type(name) is str for name in (*read, read["ä"]))
        in_quotes = repr(raw)[1:].encode()  # as Python 2 writes it in protocol 0
        file.write_bytes(pickled(b"}(S'w'\n" + array_of(raw).replace(text(raw), b"S" + in_quotes + b"\n") + b"u"))
        assert read_content(file)["w"].numpy().tobytes() == raw


class Gadget:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Stateful:
    def __setstate__(self, state):
        Path("ran").touch()

    def __reduce__(self):
        return Stateful, (), {"a": 1}


def test_a_gadget_runs_in_pickle(tmp_path, monkeypatch):
    """The promise of the next test is not empty."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Gadget(os.system, "touch ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "gadget",
    [
        Gadget(os.system, "touch ran"),
        Gadget(eval, "open('ran', 'w')"),
        Gadget(exec, "open('ran', 'w')"),
        Gadget(open, "ran", "w"),
        Gadget(getattr, Gadget(__import__, "os"), "system"),
        Gadget(map, Gadget(os.system, "touch ran"), []),
        Gadget(bytearray, 10**12),
        Gadget(bytes, 10**12),
        Gadget(range, 10**12),
        Gadget(memoryview, b"a"),
        Gadget(torch.zeros, 10**12),
        Gadget(torch.hub.load, "a/b", "c"),
        Gadget(torch.storage._load_from_bytes, pickle.dumps(Gadget(os.system, "touch ran"))),
        Gadget(np.load, "x.npy"),
        Gadget(np.ndarray, (10**12,)),
        Gadget(pickle.loads, pickle.dumps(Gadget(os.system, "touch ran"))),
        Stateful(),
        Path("a"),
        slice(1),
        1j,
    ],
)
def test_gadgets(refused, protocol, gadget):
    for content in (gadget, {"blobs": {"w": ARRAYS["half"], "x": gadget}}):
        sentence = refused(pickle.dumps(content, protocol))
        assert "runs code from the file" in sentence or "is damaged" in sentence


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"(S'touch ran'\nios\nsystem\n", "instruction INST"),
        (b"(cos\nsystem\nS'touch ran'\no", "os.system"),
        (b"(K\x01S'touch ran'\no", "instruction OBJ"),
        (b"K\x01)\x81", "instruction NEWOBJ"),
        (b"K\x01)}\x92", "instruction NEWOBJ_EX"),
        (b"\x82\x01", "instruction EXT1"),
        (b"Pother\n", "instruction PERSID"),
        (b"S'other'\nQ", "refers to another file"),
        (b"\x97", "instruction NEXT_BUFFER"),
        (b"S'os'\nS'system'\n\x93(S'touch ran'\ntR", "os.system"),
        (b"S'numpy'\nS'f2py.os.system'\n\x93(S'touch ran'\ntR", "numpy.f2py.os.system"),
        (b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR", "copy_reg._reconstructor"),
        (b"ccopyreg\nadd_extension\n", "copyreg.add_extension"),
        (b"c_codecs\ndecode\n", "_codecs.decode"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR", "is damaged"),
        (b"c_codecs\nencode\n(S'a'\nS'zlib_codec'\ntR", "is damaged"),
        (b"c__builtin__\nbytes\n(I1000000000000\ntR", "is damaged"),
        (b"cnumpy\nndarray\n(I1000000000000\ntR", "is damaged"),
        (b"cnumpy\nndarray\n}S'__class__'\nNsb", "is damaged"),
        (b"cnumpy\ndtype\n", "holds a Function where a value is due"),
        (b"cnumpy\ndtype\n(S'f4'\ntR", "holds a DType where a value is due"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(N)S'b'\ntR", "an array without values"),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRS'cos'\ntR", "an array of dtype 'O8'"),
        (array_of(dtype=b"O8"), "an array of dtype 'O8'"),
        (array_of(dtype=b"S4"), "an array of dtype 'S4'"),
        (array_of(dtype=b"V4"), "an array of dtype 'V4'"),
        (array_of(state=b"K\x03U\x01<U\x01a}U\x01aJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"), "an array of records"),
        (array_of(state=b"K\x03U\x01x"), "an array of records"),
        (array_of(shape=b"(I1000000000\nI1000000000\nt"), "an array of shape (1000000000, 1000000000)"),
        (array_of(shape=b"K\x03\x85"), "that has 8 bytes"),
        (array_of(shape=b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86"), "is damaged"),
        (array_of(shape=b"F2.0\n\x85"), "is damaged"),
        (array_of(shape=b"(" + b"K\x01" * 40 + b"t", values=b"1234"), "that has 4 bytes"),
        (b"B\xff\xff\xff\xff", "goes on for 4294967295 bytes"),
        (b"\x8e\x00\x00\x00\x00\x00\x01\x00\x00", "goes on for"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "goes on for"),
        (b"T\xff\xff\xff\xff", "goes on for"),
        (b"\x8b\x00\x00\x00\x40", "a number of 1073741824 bytes"),
        (b"L" + b"9" * 10**6 + b"L\n", "does not end"),
        (b"I_\n", "is damaged"),
        (b"S'open\n", "is damaged"),
        (rb"S'\q'" + b"\n", "is damaged"),
        (b"2", "instruction DUP"),
        (b"]q\x00h\x00a", "in each other without end"),
        (b"}q\x00S'a'\nh\x00s", "in each other without end"),
        (b"N" + b"\x85" * 5000, "in each other without end"),
        (b"N" + b"q\x00h\x00\x86" * 40, "more than"),
        (b"(" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) if i else b"]q\x01" for i in range(40)) + b"t", "more than"),
        (b"](T\x00\x04\x00\x00" + b"a" * 1024 + b"q\x00" + b"h\x00" * 1000 + b"e", "copies its values again"),
        (
            b"](X\x00\x04\x00\x00"
            + b"a" * 1024
            + b"q\x00c_codecs\nencode\nq\x01"
            + b"h\x01h\x00S'latin1'\n\x86R" * 100
            + b"e",
            "copies its values again",
        ),
        (
            b"](" + b"K\x01" * 500 + b"eq\x00c__builtin__\nset\nq\x01" + b"h\x01h\x00\x85R" * 100,
            "copies its values again",
        ),
        (b"}(S'a'\nK\x01S'a'\nK\x02u", "two entries 'a'"),
        (b"}(K\x01\x85K\x01u", "a tuple as a name"),
        (b"}(K\x01u", "is damaged"),
        (b"]S'a'\nK\x01s", "is damaged"),
        (b"}(S'a'\ne", "is damaged"),
        (b"N(", "is damaged"),
        (b"NN", "is damaged"),
        (b"\x80\x09", "is damaged"),
        (b"h\x07", "is damaged"),
        (b"N.N", "its pickle ends 2 bytes before the file"),
        (b"\xff", "is damaged"),
    ],
)
def test_instructions_that_are_refused(refused, monkeypatch, body, words):
    monkeypatch.setattr(machine, "MOST_VALUES", 50000)
    assert words in refused(pickled(body))


def test_tensors_of_torch(refused):
    assert "of torch that `pickle` wrote; write them with `torch.save`" in refused(pickle.dumps(torch.ones(1)))


DOUBLED = b"N" + b"q\x00h\x00\x86" * 64
"""A tuple of 2^64 places, of which no text, hash or comparison ends."""


@pytest.mark.parametrize(
    "body",
    [
        DOUBLED + b"Va\n\x93",
        b"Va\n" + DOUBLED + b"\x93",
        b"cnumpy\ndtype\n" + DOUBLED + b"\x85R",
        b"cnumpy\nndarray\n" + DOUBLED + b"R",
        b"c_codecs\nencode\nVa\n" + DOUBLED + b"\x86R",
        b"ccollections\nOrderedDict\n)R" + DOUBLED + b"b",
        b"ccollections\nOrderedDict\n" + DOUBLED + b"\x85R",
        b"c__builtin__\nset\n" + DOUBLED + b"\x85R",
        b"}" + DOUBLED + b"Ns",
        array_of(shape=DOUBLED),
        array_of(state=b"K\x03" + DOUBLED),
        array_of(state=b"K\x03U\x01<" + DOUBLED),
        DOUBLED + b"Q",
    ],
)
def test_tuples_that_hold_each_other_twice(refused, body):
    refused(pickled(body))


def test_one_array_in_many_places(refused, monkeypatch):
    monkeypatch.setattr(machine, "SPARE", 2**20)
    body = b"](" + array_of(b"1" * 252, shape=b"K\x3f\x85") + b"q\x00" + b"h\x00" * 5000 + b"e"
    assert "written out" in refused(pickled(body))


def test_endless_instructions(refused, monkeypatch):
    monkeypatch.setattr(instructions, "MOST_VALUES", 1000)
    assert "more than 1000 instructions" in refused(pickled(b"N" * 1001))


def test_a_memo_of_any_number_takes_no_memory(tmp_path, one_gibibyte):
    (tmp_path / "a").write_bytes(pickled(b"]r\xff\xff\xff\xff"))
    assert read_content(tmp_path / "a") == []


def test_truncations(refused):
    for protocol in (0, 2, 4):
        whole = pickle.dumps({"blobs": {"w": ARRAYS["conv1_w"], "v": ARRAYS["long"]}}, protocol)
        for length in (*range(3, len(whole), len(whole) // 40), len(whole) - 1):
            refused(whole[:length])


def test_heads():
    assert (
        is_pickle(b"(dp1\nS'blobs'")
        and is_pickle(b"}q\x01.")
        and is_pickle(b"\x80\x02}q\x00")
        and is_pickle(b"cos\nsystem\n")
    )
    assert not is_pickle(b"column\n1, 2") and not is_pickle(b"{}") and not is_pickle(b"PK\x03\x04")
