"""Values of options that a source does not have, found out before any of them is used."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from wholeframe.messages import one_of

KINDS = {
    int: "a whole number",
    str: "text",
    Sequence: "a list of whole numbers, such as [1, 2, 2]",
    Mapping: "a dictionary, such as {'output_stride': 8}",
}
"""kinds of values that options have -> in words"""


def refuse_values(plan: Callable[..., object], options: Mapping[str, object]) -> None:
    """Raise ValueError for an option whose value its annotation does not have, even if this file does not need it.

    Args:
        plan: with the options as parameters.
        options: by name; names that the plan does not have are left to the call.
    """
    parameters = inspect.signature(plan).parameters
    for name, value in options.items():
        annotation = parameters[name].annotation if name in parameters else object
        kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        if value is None and NoneType in kinds:
            continue
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        choices += [True, False] if bool in kinds else []
        words = [KINDS[kind] for each in kinds if (kind := get_origin(each) or each) in KINDS]
        if choices:
            one_of(name, value, choices)
        elif words and not any(_is_of(value, get_origin(kind) or kind) for kind in kinds):
            raise ValueError(f"{name}={value!r} is not {' or '.join(dict.fromkeys(words))}")


def _is_of(value: object, kind: type) -> bool:
    """Whether a value is of a kind: text is not a list, True is not a number, and a list has whole numbers or lists."""
    if isinstance(value, bool) or (isinstance(value, str) and kind is not str):
        return False
    if kind is Sequence and isinstance(value, Sequence):
        return all(_is_of(item, int) or _is_of(item, Sequence) for item in value)
    return isinstance(value, kind)
