"""Values of options that a source does not have, found out before any of them is used."""

import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from wholeframe.messages import one_of


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
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        choices += [True, False] if bool in kinds else []
        if value is None and NoneType in kinds:
            continue
        if choices:
            one_of(name, value, choices)
        elif int in kinds and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{name}={value!r} is not a whole number")
