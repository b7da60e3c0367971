"""What a network costs: parameters, multiply-adds, time and memory of a pass."""

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from wholeframe.blocks import Block
from wholeframe.models.measure import peak_bytes, seconds
from wholeframe.surgery.probe import Example, as_call, evaluating
from wholeframe.surgery.verify import refuse_lost


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


# torch counts fused attention, but on a CPU only from 2.15 on.
ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one sample."""

    params: int
    macs: int


def cost(network: nn.Module, example: Example) -> Cost:
    """Count the parameters of a network and the multiply-adds of a forward pass.

    A block counts as its definition (`Block.multiply_adds`), whichever backend runs it, so that the number depends
    on neither dtype nor machine. Everything else is counted while it runs: convolutions, matrix products and attention.
    Elementwise operations and pooling outside the blocks are not counted, as in the papers.

    Args:
        network: stays unchanged, with its training flags.
        example: the input with a batch of one, as in `wf.insert`: a tensor, a tuple of positional or a dict of keyword
            arguments, or None for one 224 x 224 image.

    Returns:
        All parameters, trainable or not, and the multiply-adds of the example.

    Raises:
        ValueError: if a tool has dropped an inserted block, see `wf.verify`.
    """
    refuse_lost(network)
    call = as_call(network, example)
    with (
        evaluating(network),
        torch.no_grad(),
        FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter,
        _definitions(network, counter) as differences,
    ):
        network(*call.args, **call.kwargs)
    macs = counter.get_total_flops() // 2 + sum(differences)
    return Cost(sum(p.numel() for p in network.parameters()), macs)


def count(make: Callable[[], nn.Module], sample: Sequence[int], part: str = "") -> Cost:
    """`cost` without computing: tensors have shapes but no values, so a clip takes a second and almost no memory.

    Args:
        make: builds the network.
        sample: shape of one sample, such as (3, 224, 224).
        part: the module whose multiply-adds are counted, with `sample` as its input; "" for the network. Those of the
            heads of a detector depend on what is in the image.
    """
    with FakeTensorMode():
        network = make()
        macs = cost(network.get_submodule(part), torch.empty(1, *sample)).macs
        return Cost(sum(p.numel() for p in network.parameters()), macs)


def inference_ms(network: nn.Module, example: Tensor | list[Tensor], repeats: int = 20) -> float:
    """Median milliseconds of one forward pass, after three passes to warm up."""
    with evaluating(network), torch.no_grad():
        device = example[0].device  # of an image, or of the first image of a detector's list
        times = [seconds(lambda: network(example), device) for _ in range(repeats + 3)]
    return 1000 * statistics.median(times[3:])


@dataclass(frozen=True)
class Pass:
    """Median milliseconds, and the peak memory in MiB above weights, their gradients and the input."""

    ms: float
    mib: float


def measure_passes(network: nn.Module, example: Tensor, repeats: int = 3) -> dict[str, Pass]:
    """Time and peak memory of a forward pass in eval mode, and of forward and backward in training mode.

    Training mode moves running statistics. Each is run once to warm up, `repeats` times for the time and once for the
    memory.

    Args:
        network: on the device of the example.
        example: one batch; the measurement runs on its device.
        repeats: timed runs, of which the median is returned.

    Returns:
        A `Pass` under "forward" and one under "forward and backward".
    """

    def forward() -> None:
        with evaluating(network), torch.no_grad():
            network(example)

    def both() -> None:
        network.train()(example).sum().backward()

    return {
        "forward": _pass(forward, example.device, repeats),
        "forward and backward": _pass(both, example.device, repeats),
    }


def _pass(run: Callable[[], None], device: torch.device, repeats: int) -> Pass:
    run()
    times = [seconds(run, device) for _ in range(repeats)]
    return Pass(1000 * statistics.median(times), peak_bytes(run, device) / 2**20)


@contextlib.contextmanager
def _definitions(network: nn.Module, counter: FlopCounterMode) -> Iterator[list[int]]:
    """Within this context, the multiply-adds of every block's definition less those that the counter sees in it."""
    differences: list[int] = []
    starts: list[int] = []

    def enter(_block: nn.Module, _args: Any) -> None:
        starts.append(counter.get_total_flops())

    def leave(block: Any, args: tuple[Tensor, ...], _output: Any) -> None:
        seen = (counter.get_total_flops() - starts.pop()) // 2
        batch, _, *grid = args[0].shape
        differences.append(batch * block.multiply_adds(grid) - seen)

    with contextlib.ExitStack() as hooks:
        for block in dict.fromkeys(_outermost_blocks(network)):
            hooks.enter_context(block.register_forward_pre_hook(enter))
            hooks.enter_context(block.register_forward_hook(leave))
        yield differences


def _outermost_blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Blocks that are not parts of other blocks, whose own count includes them."""
    if isinstance(module, Block):
        yield module
    else:
        for child in module.children():
            yield from _outermost_blocks(child)
