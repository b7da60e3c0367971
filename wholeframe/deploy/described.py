"""What a file says of its network besides the weights: strings under fixed keys, in JSON.

The keys, with an example of each:

    classes      ["cat", "dog"]                     in the order of the outputs; a detector's label k is classes[k - 1]
    mean, std    [0.485, 0.456, 0.406]              input = (pixel / 255 - mean) / std, per channel
    input        ["batch", 3, "height", "width"]    a name is a free size, a number a fixed one
    size         [224, 224]                         that the network was exported and compared at
    notes        {"softmax scale": "1/sqrt(inner)"} what neither weights nor shapes show

and, as plain text, `licence` of the weights, `origin` and the versions `wholeframe` and `torch`.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version

import torch
from torch import Tensor, nn

from wholeframe.deploy.stated import Stated
from wholeframe.models.origin import origin_of

FILE = "wholeframe.json"
"""the extra file of a .pt2 that has these strings"""


def describe(
    network: nn.Module,
    written: Sequence[int | str],
    size: Sequence[int],
    channels: int,
    own: Stated,
) -> dict[str, str]:
    """The strings of a file.

    Raises:
        ValueError: if mean or std is given alone, does not have a number per channel, or std has a number that is not
            above 0.
    """
    found = {"input": json.dumps(list(written)), "size": json.dumps(list(size))}
    mean, std = own.mean, own.std
    if (mean is None) != (std is None):
        given, missing = ("mean", "std") if std is None else ("std", "mean")
        raise ValueError(f"{given}= is given without {missing}=; give both, or none of them")
    if mean is not None and std is not None:
        for name, numbers in (("mean", mean), ("std", std)):
            if len(numbers) != channels:
                raise ValueError(
                    f"{name}= has {len(numbers)} numbers, and the input has {channels} channels; give one for each"
                )
            found[name] = json.dumps([float(number) for number in numbers])
        if not all(number > 0 for number in std):
            raise ValueError(f"std={tuple(std)} has a number that is not above 0; an input is divided by it")
    if own.classes is not None:
        found["classes"] = json.dumps(list(own.classes), ensure_ascii=False)
    if own.licence is not None:
        found["licence"] = own.licence
    if own.facts:
        found["notes"] = json.dumps(own.facts, ensure_ascii=False)
    if (origin := origin_of(network)) is not None:
        found["origin"] = str(origin)
    return {**found, "wholeframe": version("wholeframe"), "torch": str(torch.__version__)}


def refuse_classes(classes: Sequence[str] | None, outputs: Sequence[Tensor]) -> None:
    """ValueError if there is not one name for each number of the first output."""
    if isinstance(classes, str):
        raise ValueError(f"classes={classes!r} is one text; give a list of names, such as ['cat', 'dog']")
    if classes is not None and len(outputs[0].shape) > 1 and outputs[0].shape[1] != len(classes):
        raise ValueError(
            f"classes= has {len(classes)} names, and the first output has {outputs[0].shape[1]} channels; give one "
            "name for each"
        )
