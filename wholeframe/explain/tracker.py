"""Follow where the elements of every tensor lie in the input, through one forward pass of any network.

A dispatch mode sees every operation of the pass, below all modules and functions. Operations that move elements have a
rule; all others keep the place of a tensor of the same sizes. A place that is lost stays lost, and is reported so.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from wholeframe.explain.moves import Call, rule_of
from wholeframe.explain.places import Place, broadcast, reduced


class Tracker(TorchDispatchMode):
    """Within this context, `place(tensor)` is where a tensor lies that was computed from a marked one."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.places: Any = WeakIdKeyDictionary()

    def mark(self, tensor: Tensor, place: Place) -> None:
        self.places[tensor] = place

    def place(self, tensor: Tensor) -> Place | None:
        return self.places.get(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [arg for arg in _flat((*args, *kwargs.values())) if isinstance(arg, Tensor)]
        # Before the operation, because one in place changes what its input is.
        places = [self.places.get(tensor) for tensor in tensors]
        out = func(*args, **kwargs)
        if any(place is not None for place in places):
            outputs = [out] if isinstance(out, Tensor) else [each for each in _flat((out,)) if isinstance(each, Tensor)]
            found = _follow(func, args, kwargs, dict(zip(map(id, tensors), places, strict=True)), outputs)
            for tensor, place in zip(outputs, found, strict=True):
                if place is not None:
                    self.places[tensor] = place
                else:
                    self.places.pop(tensor, None)
        return out


def _flat(values: Sequence[Any]) -> list[Any]:
    flat = []
    for value in values:
        flat += _flat(value) if isinstance(value, list | tuple) else [value]
    return flat


def _follow(
    func: Any, args: Any, kwargs: Any, places: dict[int, Place | None], outputs: Sequence[Tensor]
) -> list[Place | None]:
    if all(0 in out.shape for out in outputs):  # as in a detector that finds nothing
        return [None] * len(outputs)
    rule = rule_of(func._schema.name.removeprefix("aten::"))
    call = Call(func, args, kwargs, places)
    if rule is not None:
        return rule(call, outputs)
    known = [place for place in places.values() if place is not None]
    if call["dim"] is not None and call["keepdim"] is not None and call.place is not None:
        return [reduced(call.place, call["dim"], out.ndim) for out in outputs]
    return [broadcast(known, out.shape) for out in outputs]
