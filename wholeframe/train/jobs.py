"""Independent trainings in several processes."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(function: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[tuple[T, R]]:
    """The result of a function for every item, in the order in which they end.

    Args:
        function: of a module, so that another process can import it.
        items: that a process can receive.
        jobs: the number of processes, each with one thread; 1 computes in this process, in the order of the items.

    Raises:
        ValueError: a process was killed.
    """
    if min(jobs, len(items)) < 2:
        for item in items:
            yield item, function(item)
        return
    before = multiprocessing.active_children()
    # A new interpreter: a copy of this one would have the locks of its threads, but not the threads.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(min(jobs, len(items)), context, initializer=_alone)
    try:
        waiting = {executor.submit(function, item): item for item in items}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    except BrokenProcessPool as error:
        raise ValueError(
            "a process of the comparison was killed; memory may be short: give --jobs 1; the same command continues "
            "after the finished trainings"
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            if child not in before:
                child.kill()  # It has nothing to save.


def _alone() -> None:
    """One thread, and an end together with the process that started this one, whatever ends it."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None  # This runs in a process that another one started.

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
