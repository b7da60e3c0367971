"""Values of a JSON file of annotations: whole numbers, finite numbers, and objects whose keys differ."""

import json
from pathlib import Path
from typing import Any

from wholeframe.data.detection.annotations import LARGEST
from wholeframe.messages import shown


def json_of(file: Path) -> Any:
    """The content of a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        ValueError: there is no such file, it cannot be read, or an object in it has a key twice, whose first value the
            decoder would drop.
    """
    try:
        return json.loads(file.read_bytes(), object_pairs_hook=_distinct)
    except FileNotFoundError:
        raise ValueError(f"there is no file '{file}'") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{file}' is not a JSON file that can be read ({shown(error)})") from error
    except OSError as error:
        raise ValueError(f"'{file}' cannot be read ({error.strerror})") from error


def whole(value: Any) -> int | None:
    """A whole number, also one that is written as 7.0; None for anything else."""
    if type(value) not in (int, float) or not -(2**63) < value < 2**63 or value != int(value):
        return None
    return int(value)


def finite(values: Any, count: int | None = None) -> list[float] | None:
    """A list of numbers, each of them a possible coordinate; None for anything else, or for another count."""
    if not isinstance(values, list) or (count is not None and len(values) != count):
        return None
    if not all(type(value) in (int, float) and -LARGEST < value < LARGEST for value in values):
        return None
    return [float(value) for value in values]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(twice)!r} is twice in one object")
    return content
