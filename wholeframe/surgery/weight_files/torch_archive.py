"""Files of `torch.save`: a zip archive of a pickle and of the values of each storage, not compressed."""

import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BufferedIOBase, BytesIO, FileIO
from pathlib import Path
from typing import Any

from wholeframe.messages import listed, shown
from wholeframe.surgery.weight_files.instructions import finish, run
from wholeframe.surgery.weight_files.machine import Machine
from wholeframe.surgery.weight_files.raw_bytes import bytes_of, tensor_in
from wholeframe.surgery.weight_files.refused import Refused
from wholeframe.surgery.weight_files.tensors import ADVICE, TORCH, Storage, Storages

HEAD = b"PK\x03\x04"
LARGEST_TABLE = 2**23
"""Bytes of an archive's table of contents: 50 000 tensors, or 180 000 members that have no names."""


class _Bounded(FileIO):
    """A file of which no large part is read at once: `zipfile` reads the table of contents in one call."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_TABLE:
            raise Refused("is an archive with a table of contents larger than any file of weights has")
        return super().read(-1 if size is None else size) or b""


def read_torch_archive(path: Path) -> Any:
    """The content of a file of `torch.save`, whose tensors have memory of their own.

    Raises:
        Refused: it is truncated, damaged or compressed, is another kind of archive, or holds Python objects.
    """
    size = path.stat().st_size
    infos = _table(path)
    names = [info.filename for info in infos]
    pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1 or any(name.rpartition("/")[2] == "constants.pkl" for name in names):
        raise Refused(_kind(names))
    with path.open("rb") as stream:
        members = _members(infos, stream, size)
    folder = pickles[0].removesuffix("data.pkl")
    if bytes(members.get(f"{folder}byteorder", b"little")) != b"little":
        raise Refused("has numbers in the byte order of another machine; save it again on a little-endian one")
    storages, code = Storages(), members[pickles[0]]
    machine = Machine(BytesIO(code), len(code), TORCH, ADVICE, storages)
    value = run(machine)
    for key, storage in storages.by_key.items():
        storage.values = tensor_in(_values(storage, members.get(f"{folder}data/{key}")), storage.dtype)
    return finish(machine, value, size)


def _values(storage: Storage, member: memoryview | None) -> memoryview:
    due = storage.count * storage.dtype.itemsize
    if member is None or len(member) != due:
        found = "no values" if member is None else f"{len(member)} bytes"
        raise Refused(
            f"has {found} for its storage '{shown(storage.key)}' of {due} bytes; take another copy of the file"
        )
    return member


def _table(path: Path) -> list[zipfile.ZipInfo]:
    """The table of contents of an archive, in the order of the file."""
    try:
        with _Bounded(path) as stream, zipfile.ZipFile(stream) as archive:
            return sorted(archive.infolist(), key=lambda info: info.header_offset)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        raise Refused(
            "is a truncated or damaged archive: it has no table of contents; take another copy of it"
        ) from None


def _members(infos: list[zipfile.ZipInfo], stream: BufferedIOBase, size: int) -> Mapping[str, memoryview]:
    """The members of an archive by name, each once, whole and where no other is.

    An archive that states more than it has (members within each other, compressed ones) would grow without bound in a
    reader that takes its word.
    """
    members, end = {}, 0
    summed = any(info.CRC for info in infos)  # torch writes zeros if it is set to compute no checksums
    for info in infos:
        name = shown(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise Refused(
                f"is a compressed archive (its '{name}'), and `torch.save` compresses nothing; unpack it with `unzip` "
                "and give the file of weights in it"
            )
        start, after = _place(info, stream, size)
        if info.header_offset < end or after > size or info.filename in members:
            raise Refused(f"is a damaged archive: its '{name}' is not where it should be; take another copy of it")
        end = after
        stream.seek(start)
        members[info.filename] = bytes_of(stream, info.file_size)
        if summed and zlib.crc32(members[info.filename]) != info.CRC:
            raise Refused(f"is damaged: the checksum of '{name}' differs; take another copy of the file")
    return members


def _place(info: zipfile.ZipInfo, stream: BufferedIOBase, size: int) -> tuple[int, int]:
    """Where the bytes of a member begin and end, after its own header; beyond the file if it has none."""
    if not 0 <= info.header_offset <= size - 30:
        return size, size + 1
    stream.seek(info.header_offset + 26)
    start = info.header_offset + 30 + sum(struct.unpack("<HH", stream.read(4)))
    return start, start + info.file_size


def _kind(names: list[str]) -> str:
    """What an archive without weights of torch is."""
    if any(name.rpartition("/")[2] == "constants.pkl" for name in names):
        return (
            "is a TorchScript program, not a file of weights; save its weights: "
            "`torch.save(torch.jit.load(path).state_dict(), NEW)`"
        )
    if any(name.endswith(".npy") for name in names):
        return (
            "is an archive of numpy; save its arrays as tensors: "
            "`torch.save({name: torch.from_numpy(a) for name, a in numpy.load(path).items()}, NEW)`"
        )
    if any(name.endswith(".weights.h5") for name in names):
        return "is a model of Keras; give a file of safetensors or of `torch.save`"
    if any("archive_format" in name or name.startswith("models/") for name in names):
        return "is an exported program of torch; save the weights of the network: `torch.save(model.state_dict(), NEW)`"
    return (
        f"is a zip archive without weights of torch at its top ({listed(map(shown, names))}); unpack it with `unzip` "
        "and give the file of weights in it"
    )
