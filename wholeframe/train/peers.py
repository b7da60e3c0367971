"""The processes of one training end together: when one dies, the others end within seconds, with a message."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import lightning as L

from wholeframe.train.devices import is_first

POLL, PATIENCE = 1.0, 10.0
"""Seconds: between two looks at the others; and for which a failed exchange waits to learn that a process is dead."""


@contextlib.contextmanager
def watched(trainer: L.Trainer) -> Iterator[None]:
    """End this process when another one of the training is dead.

    A process that waits for a dead one may wait for half an hour, which is the limit of torch's collectives.

    Raises:
        ConnectionError: an exchange failed because another process is dead.
    """
    if trainer.world_size == 1:
        yield
        return
    lost = _watch_of(trainer)
    ended = threading.Event()
    threading.Thread(target=_end_with, args=(lost, ended), daemon=True, name="peers").start()
    try:
        yield
    except RuntimeError as error:
        limit = time.monotonic() + PATIENCE
        while not (sentence := lost()) and time.monotonic() < limit:
            time.sleep(POLL / 10)
        if sentence:
            raise ConnectionError(sentence) from error
        raise
    finally:
        ended.set()


def _watch_of(trainer: L.Trainer) -> Callable[[], str]:
    """A function that gives a sentence once another process is dead, and "" before."""
    if not is_first():
        parent = os.getppid()
        return lambda: "" if os.getppid() == parent else _sentence("the first process is gone")
    return lambda: _dead_child(getattr(trainer.strategy.launcher, "procs", ()))


def _dead_child(children: Sequence[subprocess.Popen]) -> str:
    for rank, child in enumerate(children, start=1):
        if child.poll():
            return _sentence(f"process {rank} ended with status {child.returncode}")
    return ""


def _end_with(lost: Callable[[], str], ended: threading.Event) -> None:
    while not ended.wait(POLL):
        if sentence := lost():
            time.sleep(POLL)  # The main thread may have the error of its exchange, and its own way to end.
            if not ended.is_set():
                print(f"wholeframe: {sentence}", file=sys.stderr, flush=True)
                os._exit(1)  # The main thread may wait in an exchange, where it takes no exception.


def _sentence(who: str) -> str:
    return f"{who}, so the training ends in all processes; --resume continues after the last checkpoint"
