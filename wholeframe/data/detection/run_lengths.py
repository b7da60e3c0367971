"""Run lengths of COCO: how many pixels, down the columns, are outside and inside of a mask in turn."""

from collections.abc import Mapping
from typing import Any

from wholeframe.data.detection.json_values import whole


def why_not_run_lengths(given: Mapping[str, Any], width: int, height: int) -> str | None:
    """Why these are not the run lengths of a mask for an image; None if they are.

    The decoders in C read past the end of the image, or leave the rest of it empty, where the runs do not fill it.
    """
    size, counts = given.get("size"), given.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, list | str):
        return "without the `size` and the `counts` of run lengths"
    if [whole(side) for side in size] != [height, width]:
        return "of another size than its image"
    runs = _decoded(counts) if isinstance(counts, str) else [whole(run) for run in counts]
    if runs is None or not all(run is not None and run >= 0 for run in runs):
        return "whose run lengths are not whole numbers"
    lengths = [run for run in runs if run is not None]
    if sum(lengths) != height * width:
        return "whose run lengths do not fill its image"
    return None if any(lengths[1::2]) else "without a pixel"


def _decoded(text: str) -> list[int] | None:
    """The runs that COCO writes as text; None for text that it does not write.

    A character holds five bits, the lowest first, and a sixth that says that more follow; the fifth bit of the last
    one is the sign. From the fourth run on, the difference to the run before the last is written.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return None if shift else runs
