"""Files in several parts with an index, `model.safetensors.index.json`, as Hugging Face's libraries write them.

{"metadata": {...}, "weight_map": {"conv1.weight": "model-00001-of-00002.safetensors", ...}}
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wholeframe.messages import counted, in_quotes, listed, shown
from wholeframe.surgery.state_files import read_content

LARGEST = 2**25
"""bytes of an index; that of 50 000 tensors has some 5 million"""


def read_whole(path: Path) -> Any:
    """What a file holds, or what all parts of an index hold; see `read_content`.

    Raises:
        ValueError: for a part without its index, an index that is not one, and parts that are missing or have other
            tensors than it says.
    """
    if path.name.endswith(".index.json") and path.is_file():
        return _of_parts(path)
    part = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})(\.\w+)", path.name)
    if part is not None and int(part[2]) > 1 and path.is_file():
        index = f"{part[1]}{part[3]}.index.json"
        raise ValueError(
            f"'{shown(path)}' is one of {int(part[2])} parts of a file; give their index, '{shown(index)}'"
        )
    return read_content(path)


def _of_parts(path: Path) -> dict[str, Any]:
    """The tensors of all parts."""
    places = _weight_map(path)
    content: dict[str, Any] = {}
    for part in dict.fromkeys(places.values()):
        held = read_content(path.parent / part)
        expected = {name for name, other in places.items() if other == part}
        found = set(held) if isinstance(held, Mapping) else set()
        if wrong := expected ^ found:
            raise ValueError(
                f"'{shown(path)}' and '{shown(part)}' differ in {counted(len(wrong), 'tensor')} "
                f"({listed(in_quotes(sorted(map(str, wrong))), most=3)}), so they are not of one file; fetch all again"
            )
        content |= held
    return content


def _weight_map(path: Path) -> dict[str, str]:
    """The names of the tensors, and of the part that has each: files next to the index."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"'{shown(path)}' has more than {LARGEST} bytes, which no index of a file has; give the index")
    try:
        places = json.loads(path.read_text())["weight_map"]
        if not places or not all(isinstance(text, str) for pair in places.items() for text in pair):
            raise TypeError("a file name is not text")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"'{shown(path)}' is not an index of safetensors, which has the part of each tensor under 'weight_map' "
            f"({type(error).__name__}); give the index that came with the parts"
        ) from error
    for part in places.values():
        if Path(part).name != part:
            raise ValueError(
                f"'{shown(path)}' names the part '{shown(part)}', which is not a file next to it; give an index whose "
                "parts are in its folder"
            )
    return places
