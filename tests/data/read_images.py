"""Read every file of a folder as an image, in a process that reports what else it does.

Arguments: the folder. Prints a JSON object: the outcome of each file, and every other file, program or address that was
opened on the way. A file may take ten seconds, all of them together one GiB.
"""

import json
import resource
import signal
import sys
from pathlib import Path

from wholeframe.data.images import read_image

WATCHED = ("open", "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.system", "socket.")

reading: list[Path] = []
events: list[str] = []


def watch(event: str, arguments: tuple) -> None:
    if reading and event.startswith(WATCHED) and not (event == "open" and arguments[0] == str(reading[0])):
        events.append(f"{reading[0].name}: {event} {arguments[0]!r}")


def outcome(file: Path) -> str:
    reading.append(file)
    signal.alarm(10)
    try:
        image = read_image(file)
        return f"{image.mode} {image.width} x {image.height}"
    except ValueError as error:
        return str(error)
    finally:
        signal.alarm(0)
        reading.clear()


def peak_kib() -> int:
    """The largest memory of this program; that of `resource` counts the process that started it as well."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def main(folder: Path) -> None:
    files = sorted(folder.iterdir())
    for file in sorted((folder.parent / "whole").iterdir()):
        outcome(file)  # Pillow imports its readers on their first use.
    events.clear()
    before = peak_kib()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    outcomes = {file.name: outcome(file) for file in files}
    grown = peak_kib() - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - children  # Page faults of ended processes.
    print(json.dumps({"outcomes": outcomes, "events": events, "mebibytes": grown / 1024, "children": children}))


sys.addaudithook(watch)
main(Path(sys.argv[1]))
