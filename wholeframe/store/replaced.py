"""Files that are written completely or not at all, and stay so when the power goes.

A file is written under another name, flushed to the disk, and put in place of the file before it in one step. A disk
that fills up leaves the file before it.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a disk, a quota or a file size that is used up."""


@contextlib.contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A path to write to, which replaces `file` at the end of the block.

    Args:
        file: its folder exists. It stays as it is if the block raises an error.

    Raises:
        OSError: the file cannot be written.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        yield part
        _to_disk(part)
        part.replace(file)
        _to_disk(file.parent)
    except OSError as error:
        raise unwritten(file, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def unwritten(file: Path, error: OSError) -> OSError:
    """The error of a file that cannot be written, as a sentence that names the file and the way out."""
    reason = (error.strerror or str(error)).lower()
    way = "free some space" if error.errno in FULL else "give yourself the right to write there, or give another path"
    kept = "; the file before it is whole" if file.is_file() else ""
    return OSError(f"'{file}' cannot be written ({reason}){kept}; {way}")


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
