"""One process writes a run folder at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from wholeframe.train.devices import is_first

WAIT = 10.0  # Seconds. The loader processes of a killed training notice within five that it is gone.


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder; the system releases it when the process ends, whatever ends it.

    The first process of a training holds it for all of them. A block within a block of the same thread passes.

    Args:
        folder: made if it is not there.

    Raises:
        ValueError: another process holds the lock.
    """
    if not is_first():
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "run.lock", is_singleton=True)
    try:
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise ValueError(
            f"another process is writing to '{folder}' and holds '{folder / 'run.lock'}'; wait until it ends, or give "
            "another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()
        if made and {file.name for file in folder.iterdir()} <= {"run.lock"}:
            # A training that was refused leaves no folder in the way of the next one.
            (folder / "run.lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
