"""Whether a file can be written, found out before the work whose result goes there."""

from pathlib import Path


def writable(file: Path) -> Path:
    """Make the folder of a file and try to write to the file; what is in it stays.

    Args:
        file: the file to write at the end of the command.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = not file.exists()
    with file.open("ab"):
        pass
    if new:
        file.unlink()
    return file
