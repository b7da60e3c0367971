"""Which layer feeds which norm, found in one pass: by the tensors themselves, not by names.

A norm can be folded where every tensor that it takes comes straight from one layer, and where nothing else reads what
that layer makes. The pass follows the outputs of layers by identity, and sees every operation that reads one.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from wholeframe.surgery.activated import then_children
from wholeframe.surgery.fold import ScaleShift, fold_into, is_norm, out_channels, scale_shift
from wholeframe.surgery.placement import BlockHook
from wholeframe.surgery.probe import Call, outputs

WHERE_NOT = "its input is not what one layer returns: a sum, a view, an activation or a concatenation comes between"


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class Made:
    """A tensor that a layer or norm has returned: who reads it, and the input of the layer until a norm has it."""

    maker: nn.Module
    call: Arguments | None
    version: int | None
    norms: set[nn.Module] = field(default_factory=set)


@dataclass
class Feeds:
    """What one pass shows.

    `of` has the maker of every input of a norm, None for an input that no layer has made. `norms` are the norms that
    take the outputs of a layer. A layer in `read` has outputs or weights that something else reads as well. `stale`
    are layers whose input is changed in place before their norm runs.
    """

    of: dict[nn.Module, list[nn.Module | None]] = field(default_factory=dict)
    norms: dict[nn.Module, set[nn.Module | None]] = field(default_factory=dict)
    read: dict[nn.Module, str] = field(default_factory=dict)
    stale: set[nn.Module] = field(default_factory=set)
    wrong: dict[nn.Module, float] = field(default_factory=dict)


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The modules with a matrix of their own."""
    return [m for m in network.modules() if not is_norm(m) and not _scripted(m) and _has_matrix(m)]


def norms_of(network: nn.Module) -> dict[str, nn.Module]:
    """The norms by name, each under the first of its names."""
    return {name: m for name, m in network.named_modules() if is_norm(m) and not _scripted(m)}


def feeds(network: nn.Module, call: Call) -> Feeds:
    """Run the network once, follow the outputs of its layers to its norms, and try every fold on the layer's input."""
    layers, norms = layers_of(network), list(norms_of(network).values())
    trace = _Trace(layers, norms)
    with contextlib.ExitStack() as hooks:
        for module in (*layers, *norms):
            hooks.enter_context(module.register_forward_pre_hook(trace.enter, with_kwargs=True))
        for layer in layers:
            hooks.enter_context(layer.register_forward_hook(trace.leave_layer, with_kwargs=True))
        for norm in norms:  # before the block of a site runs
            hooks.enter_context(norm.register_forward_hook(trace.leave_norm, prepend=True, with_kwargs=True))
        hooks.enter_context(network.register_forward_hook(trace.end))
        hooks.enter_context(trace)
        outputs(network, call)
    return trace.found


def folds(network: nn.Module, found: Feeds) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """The norms that can be folded, by name, each with its layer; and for every other norm the reason."""
    names = {module: name for name, module in network.named_modules()}
    able, left = {}, {}
    for name, norm in norms_of(network).items():
        reason = _why_not(norm, found, names)
        if reason is None:
            able[name] = found.of[norm][0]
        else:
            left[name] = reason
    return able, left


def _why_not(norm: nn.Module, found: Feeds, names: Mapping[nn.Module, str]) -> str | None:
    """Why the norm stays, as a clause; None where it can be folded."""
    makers = found.of.get(norm, [])
    if not makers:
        return "it does not run in this pass"
    if scale_shift(norm) is None:
        return "it has no running statistics, and normalises by those of its batch"
    if (reason := changed(norm, blocks=True)) is not None:
        return reason
    if any(maker is None for maker in makers):
        return WHERE_NOT
    if len(set(makers)) > 1:
        return (
            f"it is shared by {len(set(makers))} layers, {', '.join(sorted(repr(names[m]) for m in set(makers) if m))}"
        )
    layer = makers[0]
    assert layer is not None
    if is_norm(layer):
        return f"it follows another norm, {names[layer]!r}, which stays"
    if (reason := changed(layer, blocks=False)) is not None:
        return f"the layer {names[layer]!r} before it stays: {reason}"
    if found.norms[layer] != {norm}:
        return f"the layer {names[layer]!r} before it also runs without it"
    if layer in found.read:
        return f"{found.read[layer]} of {names[layer]!r} before it is read or changed elsewhere as well"
    if norm in found.wrong:
        return (
            f"{names[layer]!r} ({type(layer).__name__}) before it does not compute what its weight says, or the norm "
            f"({type(norm).__name__}) does more than normalise: folded, the two differ by {found.wrong[norm]:.2g} of "
            "their largest value"
        )
    return None


def changed(module: nn.Module, *, blocks: bool) -> str | None:
    """What acts on the calls or weights of a module beyond its own class, as a clause; None for nothing.

    Args:
        module: a layer or a norm.
        blocks: whether an inserted block may run on its output.
    """
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    if any(isinstance(hook, BlockHook) for hook in hooks) and not blocks:
        return "a block runs on its output"
    if any(not isinstance(hook, BlockHook) for hook in hooks):
        return "it has a hook"
    if "forward" in module.__dict__:
        return "its forward is replaced"
    weight = getattr(module, "weight", None)
    own = {**module._parameters, **module._buffers}
    if weight is not None and weight is not own.get("weight"):
        return "its weight is computed by a parametrisation or another tool"
    if weight is not None and type(weight) not in (nn.Parameter, Tensor, nn.Buffer):
        return f"its weight is a {type(weight).__name__}"
    return None


class _Trace(TorchDispatchMode):
    """Follows the outputs and the weights of layers through all operations of a pass."""

    def __init__(self, layers: list[nn.Module], norms: list[nn.Module]):
        super().__init__()
        self.unchanged = {module for module in (*layers, *norms) if changed(module, blocks=module in norms) is None}
        self.found, self.inside, self.paused = Feeds(), list[nn.Module](), False
        self.made = WeakTensorKeyDictionary()
        self.owners: dict[int, set[nn.Module]] = {}
        for layer in layers:
            for parameter in layer._parameters.values():
                if parameter is not None:
                    self.owners.setdefault(id(parameter), set()).add(layer)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.paused:
            for leaf in pytree.tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor):
                    self._read(leaf)
        return func(*args, **(kwargs or {}))

    def _read(self, tensor: Tensor) -> None:
        owners = self.owners.get(id(tensor))
        if owners is not None and owners.isdisjoint(self.inside):
            self.found.read.update(dict.fromkeys(owners, "the weight"))
        made = self.made.get(tensor)
        if made is not None and made.norms.isdisjoint(self.inside):
            self.found.read.setdefault(made.maker, "the output")

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.inside.append(module)
        if not is_norm(module):
            return
        taken = _first(args, kwargs)
        made = None if taken is None else self.made.get(taken)
        self.found.of.setdefault(module, []).append(None if made is None else made.maker)
        if made is not None:
            made.norms.add(module)
            self.found.norms.setdefault(made.maker, set()).add(module)

    def leave_layer(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self.inside.pop()
        given = _first(args, kwargs)
        weight = getattr(layer, "weight", None)
        fits = isinstance(output, Tensor) and isinstance(weight, Tensor) and output.ndim == weight.ndim
        if fits and output is not given:
            self.made[output] = Made(layer, (args, kwargs), None if given is None else given._version)
        else:  # such as (b, n, c) of a linear layer, whose channels are not those of a norm
            self.found.norms.setdefault(layer, set()).add(None)

    def leave_norm(self, norm: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self.inside.pop()
        taken = _first(args, kwargs)
        made = None if taken is None else self.made.get(taken)
        if made is not None and made.call is not None:
            call, made.call = made.call, None
            first = _first(*call)
            if first is None or first._version != made.version:
                self.found.stale.add(made.maker)
            elif norm in self.unchanged and made.maker in self.unchanged:
                self._try(norm, made.maker, call, output)
        if isinstance(output, Tensor) and output is not taken:
            self.made[output] = Made(norm, None, None)

    def _try(self, norm: nn.Module, layer: nn.Module, call: Arguments, expected: Any) -> None:
        """Fold on the layer's own input, and compare: a class does not say what its forward computes."""
        affine = scale_shift(norm)
        if affine is None or not isinstance(expected, Tensor) or expected.is_meta:
            return
        self.paused = True
        try:
            gap = self._gap(norm, layer, affine, call, expected)
        finally:
            self.paused = False
        if not gap <= tolerance(expected.dtype):
            self.found.wrong[norm] = max(gap, self.found.wrong.get(norm, 0.0))

    def _gap(self, norm: nn.Module, layer: nn.Module, affine: ScaleShift, call: Arguments, expected: Tensor) -> float:
        if out_channels(layer) != len(affine.s):
            return float("inf")
        (args, kwargs), own = call, dict(layer._parameters)
        forward = type(layer).forward
        try:
            plain = forward(layer, *args, **kwargs)
            fold_into(layer, affine)
            folded = then_children(norm, forward(layer, *args, **kwargs))
        finally:
            layer._parameters.update(own)
        if folded.shape != expected.shape:
            return float("inf")
        scale = affine.s.abs().max().item() * _largest(plain) + affine.t.abs().max().item()
        return _largest(folded.double() - expected.double()) / scale if scale > 0 else 0.0

    def end(self, _network: nn.Module, _args: Any, _output: Any) -> None:
        """An output that is still alive is kept somewhere: returned, or stored for later."""
        for made in list(self.made.values()):
            if not is_norm(made.maker):
                self.found.read.setdefault(made.maker, "the output")


def tolerance(dtype: torch.dtype) -> float:
    """The relative difference that rounding explains, with a wide margin: more is another function."""
    return min(1000 * torch.finfo(dtype).eps, 0.05)


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The first tensor among the arguments of a module."""
    return next((leaf for leaf in (*args, *kwargs.values()) if isinstance(leaf, Tensor)), None)


def _largest(tensor: Tensor) -> float:
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _has_matrix(module: nn.Module) -> bool:
    weight = module._parameters.get("weight")
    return isinstance(module, _ConvNd | nn.Linear) or (weight is not None and weight.ndim >= 2)


def _scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)
