"""What a network costs: parameters, multiply-adds, time of a forward pass."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wholeframe.models.probe import evaluating


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one sample (convolutions, matrix products and attention)."""

    params: int
    macs: int


def cost(network: nn.Module, example: Tensor) -> Cost:
    """Count on an example with a batch of one. Elementwise work and pooling are not counted, as in the papers."""
    with evaluating(network), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(example)
    return Cost(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)


def inference_ms(network: nn.Module, example: Tensor, repeats: int = 20) -> float:
    """Median milliseconds of one forward pass, after three passes to warm up."""
    times = []
    with evaluating(network), torch.no_grad():
        for index in range(repeats + 3):
            _finish(example)
            start = time.perf_counter()
            network(example)
            _finish(example)
            if index >= 3:
                times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _finish(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()
