"""Read damaged videos: `python video_faults.py SEED COUNT FOLDER` reads COUNT mutations of the files in FOLDER.

Each file must be read, or be refused by a ValueError, within 10 seconds of the processor. The last line gives the
outcomes and the peak of memory. The path of a file is printed before it is read, so that a crash names it.
"""

import faulthandler
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import av

from wholeframe.data.video.extensions import is_video
from wholeframe.data.video.file import check_frames, read_frames, video_info
from wholeframe.data.video.region import Region

SECONDS = 10
EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x01")


def mutate(data, other, draw):
    """Some bytes changed, put in, taken out or taken from another file; half of the time near the header."""
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        reach = len(data) if draw.random() < 0.5 else min(len(data), 2000)
        place, length = draw.randrange(reach), draw.choice([1, 4, 16, 200, 2000])
        match draw.choice(["flip", "flip", "extreme", "cut", "remove", "repeat", "splice", "zero"]):
            case "flip":
                for _ in range(draw.choice([1, 8, 64])):
                    data[draw.randrange(reach)] ^= 1 << draw.randrange(8)
            case "extreme":
                data[place : place + 4] = draw.choice(EXTREMES)
            case "cut" if place > 100:
                del data[place:]
            case "remove":
                del data[place : place + length]
            case "repeat":
                data[place:place] = data[place : place + length]
            case "splice":
                start = draw.randrange(len(other))
                data[place : place + length] = other[start : start + length]
            case "zero":
                data[place : place + length] = bytes(min(length, len(data) - place))
        if len(data) < 200:
            break
    return bytes(data)


def peak_kib():
    """The largest memory of this program; that of `resource` counts the process that started it as well."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def read(path):
    """Everything that a training does with a file."""
    is_video(path)
    info = video_info(path)
    places = sorted({0, info.frames // 3, info.frames // 2, info.frames - 1})
    read_frames(path, places, info=info, region=Region(0, 0, info.height, info.width, (16, 16), mirrored=True))
    read_frames(path, places[-1:], info=info)
    check_frames(info)


def main(seed, count, folder):
    faulthandler.register(signal.SIGPROF, chain=True)  # It then ends the process.
    av.logging.set_level(av.logging.PANIC)
    files, outcomes = sorted(Path(folder).glob("*.*")), Counter()
    contents = [file.read_bytes() for file in files]
    for number in range(count):
        draw = random.Random(f"{seed}-{number}")
        chosen = draw.randrange(len(files))
        damaged = Path(folder) / "damaged" / f"{seed}-{number}{files[chosen].suffix}"
        damaged.parent.mkdir(exist_ok=True)
        damaged.write_bytes(mutate(contents[chosen], draw.choice(contents), draw))
        print(damaged, flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            read(damaged)
            outcomes["read"] += 1
        except ValueError as error:
            assert "\n" not in str(error), error
            outcomes["refused"] += 1
        damaged.unlink()
    peak = peak_kib() * 1024
    print(json.dumps({**outcomes, "peak": peak}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
