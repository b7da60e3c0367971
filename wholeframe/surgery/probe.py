"""Run a model once, leave no trace in it, and write down what its modules gave.

`surgery` asks here three things: what every module gives (`probe`), what the model gives (`outputs`), and what a
new block did in between (`watch`). Nothing in this file changes a model.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

Example = Tensor | tuple[Any, ...] | dict[str, Any] | None


class Call(NamedTuple):
    """The arguments of one forward."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Visit(NamedTuple):
    """How often a module ran in the probe, and what its last output was.

    `trouble` is None where the output is one floating tensor (b, c, *grid), otherwise the end of a sentence that
    begins with the module's name.
    """

    calls: int = 0
    output: torch.Size = torch.Size()
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    trouble: str | None = "never ran"

    @property
    def fits(self) -> bool:
        """Whether a block can stand behind this module."""
        return self.calls == 1 and self.trouble is None


@dataclass
class Watched:
    """What one new block did in the proof: its runs, how far it moved its input, and what it gave that is no map."""

    runs: int = 0
    change: float = 0.0
    misfit: str | None = None


def as_call(model: nn.Module, example: Example) -> Call:
    """The arguments that an `example` stands for; None is one random 224 x 224 image where the model's weights are."""
    if example is None:
        return Call((_default_image(model),), {})
    if isinstance(example, Tensor):
        return Call((example,), {})
    if isinstance(example, tuple):
        return Call(example, {})
    if isinstance(example, dict):
        return Call((), example)
    raise ValueError(
        f"example= is a {type(example).__name__}; it takes a tensor, a tuple of positional arguments or a dict of "
        "keyword arguments (a detector that wants a list of images: `example=([image],)`)"
    )


def outputs(model: nn.Module, call: Call) -> list[Tensor]:
    """Copies of all tensors the model gives for `call` in eval mode, with the same random numbers every time.

    Training flags, running statistics, the caller's tensors and the random state are afterwards what they were.
    """
    with torch.no_grad(), evaluating(model), _same_random_numbers(model):
        # Copies, because a model may work in place on what it is given, and the next pass has to see the same.
        args, kwargs = pytree.tree_map_only(Tensor, torch.clone, tuple(call))
        given = model(*args, **kwargs)
        return [leaf.clone() for leaf in pytree.tree_leaves(given) if isinstance(leaf, Tensor)]


def probe(
    model: nn.Module, modules: Iterable[nn.Module], example: Example
) -> tuple[list[Tensor], dict[nn.Module, Visit]]:
    """Run the model once; give its outputs and one `Visit` per module. ValueError if the example does not fit it."""
    visits = {module: Visit() for module in modules}

    def write_down(module: nn.Module, _args: Any, output: Any) -> None:
        visits[module] = _visit(visits[module].calls + 1, output)

    call = as_call(model, example)
    with contextlib.ExitStack() as hooks:
        for module in visits:
            hooks.enter_context(module.register_forward_hook(write_down))
        try:
            return outputs(model, call), visits
        except Exception as error:
            raise ValueError(_does_not_fit(example, error)) from error


@contextlib.contextmanager
def watch(blocks: Iterable[nn.Module]) -> Iterator[dict[nn.Module, Watched]]:
    """Within this context, note of every block how often it runs and how far its output is from its input."""
    watched = {block: Watched() for block in blocks}

    def compare(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        seen = watched[block]
        seen.runs += 1
        given = args[0]
        if _alike(given, output):
            seen.change = max(seen.change, deviation([given], [output]))
        else:
            seen.misfit = f"is given {_describe(given)} and gives {_describe(output)}"

    with contextlib.ExitStack() as hooks:
        for block in watched:
            hooks.enter_context(block.register_forward_hook(compare))
        yield watched


def deviation(before: list[Tensor], after: list[Tensor]) -> float:
    """The largest |difference|: 0 exactly if `torch.equal` holds throughout (or both are NaN), inf if shapes differ.

    NaN where tensors have shapes and no values (under `FakeTensorMode`), so that there is nothing to compare.
    """
    if len(before) != len(after):
        return math.inf
    return max((_largest_difference(old, new) for old, new in zip(before, after, strict=True)), default=0.0)


def _largest_difference(old: Tensor, new: Tensor) -> float:
    if not _alike(old, new):
        return math.inf
    if isinstance(old, FakeTensor):
        return math.nan
    if torch.equal(old, new):
        return 0.0
    wide = torch.complex128 if old.is_complex() else torch.float64
    old, new = old.detach().cpu().to(wide), new.detach().cpu().to(wide)
    same = (old == new) | (old.isnan() & new.isnan())  # inf - inf and nan - nan are NaN, yet nothing changed
    gap = (old - new).abs().nan_to_num(nan=math.inf, posinf=math.inf)
    return gap.masked_fill(same, 0.0).max().item()


def _alike(given: Any, output: Any) -> bool:
    tensors = isinstance(given, Tensor) and isinstance(output, Tensor)
    return tensors and given.shape == output.shape and given.dtype == output.dtype


def _visit(calls: int, output: Any) -> Visit:
    if not isinstance(output, Tensor):
        return Visit(calls, trouble=f"gives {_describe(output)}, and a block takes one tensor (b, c, *grid)")
    visit = Visit(calls, output.shape, output.device, output.dtype, trouble=None)
    if not output.is_floating_point():
        return visit._replace(trouble=f"gives {_describe(output)}, and a block takes floating point")
    if output.dim() < 3:
        return visit._replace(trouble=f"gives {_describe(output)}, which has no grid: a block takes (b, c, *grid)")
    return visit


def _describe(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)} of {output.dtype}"
    if isinstance(output, tuple | list | dict):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"


def _default_image(model: nn.Module) -> Tensor:
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    weight = next((p for p in model.parameters() if p.is_floating_point()), image)
    return image.to(weight.device, weight.dtype)


def _does_not_fit(example: Example, error: Exception) -> str:
    said = f"({type(error).__name__}: {error})"
    if example is not None:
        return f"the model does not run on the given example= {said}"
    return (
        f"the model does not run on the default image, a tensor (1, 3, 224, 224) {said}; show it what it takes: "
        "`example=torch.randn(1, 3, 8, 112, 112)` for a clip, `example=(first, second)` for several arguments, "
        "`example=([image],)` for a detector, `example={'pixel_values': image}` for keyword arguments"
    )


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode, and back to its own flag: `model.train()` would wake frozen parts of the model."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextlib.contextmanager
def _same_random_numbers(model: nn.Module) -> Iterator[None]:
    """A fixed seed on the CPU and on the model's own devices, and afterwards the random state of before.

    `torch.manual_seed` would seed every GPU of the machine, also those whose state nobody saved.
    """
    tensors = [*model.parameters(), *model.buffers()]
    devices = list({tensor.device for tensor in tensors if tensor.device.type not in ("cpu", "meta")})
    with torch.random.fork_rng(devices, device_type=devices[0].type if devices else "cuda"):
        torch.default_generator.manual_seed(0)
        for device in devices:
            seeded = torch.Generator(device).manual_seed(0).get_state()
            torch.get_device_module(device).set_rng_state(seeded, device)
        yield
