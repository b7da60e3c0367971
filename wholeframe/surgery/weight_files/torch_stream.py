"""Files of `torch.save` before torch 1.6: pickles one after the other, then the values of each storage."""

import re
from pathlib import Path
from typing import Any

from wholeframe.surgery.weight_files.instructions import finish, run
from wholeframe.surgery.weight_files.machine import Machine
from wholeframe.surgery.weight_files.raw_bytes import tensor_in
from wholeframe.surgery.weight_files.refused import Refused
from wholeframe.surgery.weight_files.tensors import ADVICE, TORCH, Storages

HEAD = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", re.DOTALL)
"""The magic number of torch, as a pickle of protocol 2 to 5."""


def is_torch_stream(head: bytes) -> bool:
    """Whether the first bytes of a file are those of torch's old format."""
    return HEAD.match(head) is not None


def read_torch_stream(path: Path) -> Any:
    """The content of a file in torch's old format.

    Raises:
        Refused: it is truncated or damaged, holds Python objects, or is of another version or byte order.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        storages = Storages()

        def next_pickle(left: int) -> tuple[Machine, Any]:
            machine = Machine(stream, left, TORCH, ADVICE, storages)
            return machine, run(machine)

        machine, _ = next_pickle(size)
        machine, version = next_pickle(machine.left)
        machine, system = next_pickle(machine.left)
        if version != 1001 or not isinstance(system, dict) or not system.get("little_endian", True):
            found = version if isinstance(version, int) else "?"
            raise Refused(f"is of version {found} of torch's old format or of another byte order; save it again")
        content, value = next_pickle(machine.left)
        machine, keys = next_pickle(content.left)
        if not isinstance(keys, list) or not all(isinstance(key, str | int) for key in keys):
            raise Refused("is damaged: it has no list of its storages; take another copy of the file")
        if sorted(map(str, keys)) != sorted(storages.by_key):
            raise Refused("has other storages than its tensors need; take another copy of the file")
        for key in map(str, keys):
            storage = storages.by_key[key]
            if machine.take_number("<q") != storage.count:
                raise Refused(f"has another number of values in its storage '{key}' than it states; take another copy")
            values = machine.take_values(storage.count * storage.dtype.itemsize)
            storage.values = tensor_in(values.data, storage.dtype)
        if machine.left:
            raise Refused(
                f"is damaged: it goes on for {machine.left} bytes after its end; take another copy of the file"
            )
    return finish(content, value, size)
