"""Whether a file can be written, found out before the work whose result goes there."""

from pathlib import Path

from wholeframe.messages import shown


def writable(file: Path) -> Path:
    """Make the folder of a file and try to write to the file; what is in it stays.

    Args:
        file: the file to write at the end of the command.

    Raises:
        OSError: it cannot be written.
    """
    try:
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab"):
            pass
    except FileExistsError as error:
        raise OSError(
            f"'{shown(file)}' cannot be written, because '{shown(error.filename)}' is not a folder"
        ) from error
    except OSError as error:
        raise OSError(f"'{shown(file)}' cannot be written ({error.strerror})") from error
    if new:
        file.unlink()
    return file
