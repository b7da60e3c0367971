"""What a network costs: parameters, multiply-adds, time and memory of a pass."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from wholeframe.models.measure import peak_bytes, seconds
from wholeframe.surgery.probe import evaluating


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


# torch counts fused attention, but on a CPU only from 2.15 on.
ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one sample (convolutions, matrix products and attention)."""

    params: int
    macs: int


def cost(network: nn.Module, example: Tensor) -> Cost:
    """Count on an example with a batch of one. Elementwise work and pooling are not counted, as in the papers."""
    with evaluating(network), torch.no_grad(), FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        network(example)
    return Cost(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)


def count(make: Callable[[], nn.Module], sample: Sequence[int]) -> Cost:
    """Count without computing: tensors have shapes and no values, so a clip takes a second and next to no memory."""
    with FakeTensorMode():
        return cost(make(), torch.empty(1, *sample))


def inference_ms(network: nn.Module, example: Tensor, repeats: int = 20) -> float:
    """Median milliseconds of one forward pass, after three passes to warm up."""
    with evaluating(network), torch.no_grad():
        times = [seconds(lambda: network(example), example.device) for _ in range(repeats + 3)]
    return 1000 * statistics.median(times[3:])


@dataclass(frozen=True)
class Pass:
    """Median milliseconds, and the most MiB held at once above weights, their gradients and the input."""

    ms: float
    mib: float


def measure(network: nn.Module, example: Tensor, repeats: int = 3) -> dict[str, Pass]:
    """A forward pass as in testing, and forward and backward as in training, which moves running statistics.

    Of each one run to warm up, `repeats` for the time and one for the memory, where the example is.
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
