"""Run a model on an example, record what its modules return, and leave the model as it was.

`probe` records every module, `outputs` the model's own output, `watch` the new blocks between the two.
"""

import contextlib
import functools
import gc
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from wholeframe.surgery.detectors import DETECTED, is_detector, parts, tensors, unscaled
from wholeframe.surgery.evidence import Evidence, Key, Visit, describe
from wholeframe.surgery.layouts import Image
from wholeframe.surgery.parallel import refuse_parallel
from wholeframe.surgery.placement import refuse_other

Example = Tensor | tuple[Any, ...] | dict[str, Any] | None


class Call(NamedTuple):
    """The arguments of one forward; `default` where the caller gave no example."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    default: bool = False


@dataclass
class Watched:
    """What one new block did: `change` is the largest |output - input|, `misfit` describes an output of another type.

    `blind` says why the input cannot show a change, see `cannot_show_a_change`.
    """

    runs: int = 0
    change: float = 0.0
    misfit: str | None = None
    blind: str | None = None


def refuse_model(model: nn.Module) -> None:
    """Raise TypeError for anything but a module, and ValueError for a model with a compiled or wrapped part."""
    refuse_other(model)
    for name, module in model.named_modules():
        if module._compiled_call_impl is not None or "_orig_mod" in module._modules:
            raise ValueError(
                f"{f'{name!r} in the model' if name else 'the model'} is compiled, and compiled code does not look for "
                "new hooks; insert and remove blocks first, then torch.compile"
            )
    refuse_parallel(model)


def refuse_compiled_elsewhere(model: nn.Module) -> None:
    """ValueError if `torch.compile` has wrapped this very network, or one that contains it, in a module of its own."""
    if "torch._dynamo" in sys.modules and _compiled_around(model):
        gc.collect()  # a wrapper that nobody holds may wait for the collector
        if _compiled_around(model):
            raise ValueError(
                "torch.compile of this model is alive, and its compiled code does not look for hooks that come or go; "
                "insert and remove blocks first, then torch.compile"
            )


def _compiled_around(model: nn.Module) -> bool:
    wrapper = sys.modules["torch._dynamo"].OptimizedModule
    return any(model in set(o.modules()) for o in gc.get_objects() if issubclass(type(o), wrapper))


def as_call(model: nn.Module, example: Example) -> Call:
    """The arguments that `example` represents; None is a random image on the device of the weights."""
    if example is None:
        return Call((_default_argument(model),), {}, default=True)
    if isinstance(example, Tensor):
        return Call((example,), {})
    if isinstance(example, tuple):
        return Call(example, {})
    if isinstance(example, dict):
        return Call((), example)
    raise ValueError(
        f"example= is a {type(example).__name__}; it takes a tensor, a tuple of positional arguments or a dict of "
        "keyword arguments (for a detector that takes a list of images: `example=([image],)`)"
    )


def outputs(model: nn.Module, call: Call) -> list[Tensor]:
    """Copies of all tensors that the model returns for `call` in eval mode, with the same random numbers every time.

    Training flags, attributes, running statistics, the caller's tensors and the random state do not change. For a
    detector of torchvision, which may find nothing, the tensors of its parts follow.
    """
    scale = unscaled(model, image_of(call).size) if call.default else contextlib.nullcontext()
    with (
        torch.no_grad(),
        evaluating(model),
        _same_attributes(model),
        _same_random_numbers(model),
        scale,
        parts(model) as seen,
    ):
        # The model gets copies, because it may change its input in place and the next pass needs the same input.
        args, kwargs = pytree.tree_map_only(Tensor, torch.clone, (call.args, call.kwargs))
        given = model(*args, **kwargs)
        return [*tensors(given), *seen]


def probe(model: nn.Module, modules: Iterable[nn.Module], call: Call, key: Key = None) -> tuple[list[Tensor], Evidence]:
    """Run the model once; return its outputs, and what the pass shows about the modules and their maps."""
    seen = Evidence({module: Visit() for module in modules})
    write_down = functools.partial(seen.write_down, key=key)
    with contextlib.ExitStack() as hooks:
        for module in seen.visits:
            hooks.enter_context(module.register_forward_hook(write_down))
        return outputs(model, call), seen


def probe_resized(model: nn.Module, modules: Iterable[nn.Module], call: Call, key: Key = None) -> Evidence | None:
    """The evidence of a pass over larger images; None for a model that takes images of one size."""
    modules = list(modules)
    for larger in resized(call):
        try:
            return probe(model, modules, larger, key)[1]
        except Exception:  # the model does not take this size, and any error may say so
            continue
    return None


def resized(call: Call) -> Iterator[Call]:
    """The call with zeros in place of its images: higher, wider and longer ones, or longer signals."""
    signal = len(image_of(call).size) == 1
    for grow in (_longer_signal,) if signal else (_larger_image, _longer_signal):
        yield Call(*pytree.tree_map_only(Tensor, grow, tuple(call)))


def maps_at(model: nn.Module, call: Call, keys: Mapping[nn.Module, Key]) -> dict[nn.Module, Tensor]:
    """Copies of the maps of these modules in one pass, each from its place in the module's output."""
    found: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _args: Any, given: Any) -> None:
        key = keys[module]
        found[module] = (given if key is None else given[key]).clone()

    with contextlib.ExitStack() as hooks:
        for module in keys:
            hooks.enter_context(module.register_forward_hook(keep))
        outputs(model, call)
    return found


def image_leaf(call: Call) -> Tensor | None:
    """The first image of the call."""
    leaves = [leaf for leaf in pytree.tree_leaves(tuple(call)) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    return next((leaf for leaf in leaves if leaf.ndim >= 3), None)


def image_of(call: Call) -> Image:
    """The sizes of the first image of the call."""
    image = image_leaf(call)
    if image is None:
        return Image(None, ())
    # A map of three axes is a signal (b, c, n) as an argument of its own, and one image (c, h, w) within a list.
    alone = any(image is argument for argument in (*call.args, *call.kwargs.values()))
    if image.ndim == 3 and alone:
        return Image(image.shape[0], tuple(image.shape[2:]))
    return Image(image.shape[0] if alone else None, tuple(image.shape[-2:]))


@contextlib.contextmanager
def watch(blocks: Iterable[nn.Module]) -> Iterator[dict[nn.Module, Watched]]:
    """Within this context, record how often every block runs and how far its output is from its input."""
    watched = {block: Watched() for block in blocks}

    def compare(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        seen = watched[block]
        seen.runs += 1
        given = args[0]
        if _alike(given, output):
            seen.change = max(seen.change, deviation([given], [output]))
            seen.blind = cannot_show_a_change([given])
        else:
            seen.misfit = f"is given {describe(given)} and returns {describe(output)}"

    with contextlib.ExitStack() as hooks:
        for block in watched:
            hooks.enter_context(block.register_forward_hook(compare))
        yield watched


def deviation(before: list[Tensor], after: list[Tensor]) -> float:
    """The largest |difference|: 0 exactly if all tensors are equal (NaN equals NaN), inf if shapes or types differ.

    NaN under `FakeTensorMode` and on the meta device, where tensors have shapes and no values to compare.
    """
    if len(before) != len(after):
        return math.inf
    return max((_largest_difference(old, new) for old, new in zip(before, after, strict=True)), default=0.0)


def cannot_show_a_change(tensors: list[Tensor]) -> str | None:
    """Why equality with these tensors proves nothing, as the end of a sentence; None if it proves something.

    NaN plus a number is NaN, and infinity plus a number is infinity: only finite values show that something was added.
    """
    if any(map(_without_values, tensors)):
        return "has no values"
    if not any(tensor.numel() for tensor in tensors):
        return "is empty"
    if not any(tensor.isfinite().any() for tensor in tensors):
        return "has no finite number"
    return None


def _largest_difference(old: Tensor, new: Tensor) -> float:
    if not _alike(old, new):
        return math.inf
    if _without_values(old):
        return math.nan
    if torch.equal(old, new):
        return 0.0
    wide = torch.complex128 if old.is_complex() else torch.float64
    old, new = old.detach().cpu().to(wide), new.detach().cpu().to(wide)
    same = (old == new) | (old.isnan() & new.isnan())  # their differences would be NaN, although nothing changed
    gap = (old - new).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    return gap.masked_fill(same, 0.0).max().item()


def _without_values(tensor: Tensor) -> bool:
    return isinstance(tensor, FakeTensor) or tensor.is_meta


def _alike(given: Any, output: Any) -> bool:
    tensors = isinstance(given, Tensor) and isinstance(output, Tensor)
    return tensors and given.shape == output.shape and given.dtype == output.dtype


def _larger_image(leaf: Tensor) -> Tensor:
    """Zeros of another height, width and length; two different steps, so that no axis keeps its size by chance."""
    if not leaf.is_floating_point() or leaf.ndim < 3:
        return leaf
    *front, height, width = leaf.shape
    if len(front) == 3:  # a clip (b, c, t, h, w) or (b, t, c, h, w)
        time = 1 if front[2] in (1, 3) and front[1] not in (1, 3) else 2
        front[time] *= 2
    return leaf.new_zeros(*front, height + 32, width + 64)


def _longer_signal(leaf: Tensor) -> Tensor:
    """Zeros of twice the length."""
    if not leaf.is_floating_point() or leaf.ndim < 3:
        return leaf
    return leaf.new_zeros(*leaf.shape[:-1], 2 * leaf.shape[-1])


def _default_argument(model: nn.Module) -> Tensor | list[Tensor]:
    """A 224 x 224 image; a list with a small one for a detector of torchvision."""
    size = DETECTED if is_detector(model) else (1, 3, 224, 224)
    image = torch.randn(size, generator=torch.Generator().manual_seed(0))
    image = image.to(next((p for p in model.parameters() if p.is_floating_point()), image))
    return [image] if is_detector(model) else image


def does_not_fit(call: Call, error: Exception) -> str:
    """The sentence for a model that does not run on the example."""
    said = f"({type(error).__name__}: {error})"
    if not call.default:
        return f"the model does not run on the given example= {said}"
    return (
        f"the model does not run on the default image, {describe(call.args[0])} {said}; give an input that it takes: "
        "`example=torch.randn(1, 3, 8, 112, 112)` for a clip, `example=(first, second)` for several arguments, "
        "`example=([image],)` for a detector, `example={'pixel_values': image}` for keyword arguments"
    )


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode, and then back to its own flag: `model.train()` would also set frozen parts."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextlib.contextmanager
def _same_attributes(model: nn.Module) -> Iterator[None]:
    """Afterwards every module has its attributes from before.

    Some modules keep what their first input shows: the pooling of regions in torchvision's detectors guesses the levels
    of its pyramid, so that a small example would change what the detector finds later. A lazy module has taken another
    class, and keeps what belongs to that one.
    """
    before = [(module, type(module), dict(vars(module))) for module in model.modules()]
    try:
        yield
    finally:
        for module, kind, attributes in before:
            if type(module) is kind:
                vars(module).clear()
                vars(module).update(attributes)


@contextlib.contextmanager
def _same_random_numbers(model: nn.Module) -> Iterator[None]:
    """A fixed seed on the CPU and on the model's own devices; afterwards the earlier random state.

    `torch.manual_seed` would seed every GPU of the machine, including those whose state is not saved here.
    """
    tensors = [*model.parameters(), *model.buffers()]
    devices = list({tensor.device for tensor in tensors if tensor.device.type not in ("cpu", "meta")})
    with torch.random.fork_rng(devices, device_type=devices[0].type if devices else "cuda"):
        torch.default_generator.manual_seed(0)
        for device in devices:
            seeded = torch.Generator(device).manual_seed(0).get_state()
            torch.get_device_module(device).set_rng_state(seeded, device)
        yield
