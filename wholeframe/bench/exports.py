"""A named network as an ONNX file: its size, its error, and its latency in turns with the network itself."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.deploy.axes import random_input
from wholeframe.deploy.example import default_example
from wholeframe.deploy.export import export
from wholeframe.deploy.onnx import opened
from wholeframe.models.zoo import create_model
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.record import blocks_of

SPREAD = 0.1
"""of the numbers that are added to the weights of the blocks, of which many start as an identity; less in a matrix with
more than 100 columns, which would enlarge its input"""

GAIN = 0.7
"""of every batch norm"""

CLIP = (8, 112, 112)
"""Frames, height and width of a clip; of a network that does not take 8 frames, as many as it was published with. At
published sizes, 32 x 224 x 224 and more, the passes of one network take minutes; its file has free sizes, so the graph
is the same."""


def measure(name: str, turns: int = 5) -> dict[str, Any]:
    """Export the network to ONNX, and time the file in onnxruntime against the network.

    The weights are random; `moved` makes them more like trained ones.
    Both run on as many threads as torch has, in opposite orders in every second turn: on the image that the network was
    published with, or on a clip of `CLIP`. On one thread the times are of the processor, which other programs on the
    machine lengthen little; on several they are of the wall clock, and the machine has to be idle.

    Args:
        name: of a network of `wholeframe models` that is not a detector.
        turns: how often each is timed.

    Returns:
        The row of the table: name, exporter, opset, megabytes, largest error, milliseconds of both, and the median
        ratio eager / onnxruntime of the turns; or the name and why it was refused.
    """
    torch.manual_seed(0)
    network = moved(create_model(name)).eval()
    example = example_of(network)
    threads = torch.get_num_threads()
    clock = time.process_time if threads == 1 else time.perf_counter
    row: dict[str, Any] = {"network": name, "input": list(example.shape), "threads": threads, "clock": clock.__name__}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = export(network, Path(folder, "network.onnx"), example)
        except ValueError as error:
            return {**row, "refused": str(error)}
        run = opened(done.path)
        passes = {"eager": lambda: network(example), "onnxruntime": lambda: run(example)}
        ms: dict[str, list[float]] = {way: [] for way in passes}
        with torch.no_grad():
            for way in passes.values():
                way()
            for turn in range(turns):
                for way in passes if turn % 2 == 0 else reversed(passes):
                    start = clock()
                    passes[way]()
                    ms[way].append(1000 * (clock() - start))
    ratios = [eager / other for eager, other in zip(ms["eager"], ms["onnxruntime"], strict=True)]
    return {
        **row,
        "exporter": done.exporter,
        "opset": done.opset,
        "axes": list(done.input[1]),
        "megabytes": round(done.size / 1e6, 1),
        "error": done.error,
        "eager_ms": round(statistics.median(ms["eager"]), 2),
        "onnxruntime_ms": round(statistics.median(ms["onnxruntime"]), 2),
        "ratio": round(statistics.median(ratios), 3),
        "notes": list(done.notes),
    }


def example_of(network: nn.Module) -> Tensor:
    """The image that the network was published with, or a clip of `CLIP`."""
    published = default_example(network)
    if published.ndim == 4:
        return published
    _, channels, frames, *_ = published.shape
    clip = random_input((1, channels, *CLIP), published)
    try:
        with torch.no_grad():
            network(clip)
    except ValueError:  # groups of more frames than 8 leave
        return random_input((1, channels, frames, *CLIP[1:]), published)
    return clip


def moved(network: nn.Module) -> nn.Module:
    """The same network, with blocks that change the output and batch norms with a gain below 1, as trained ones have.

    Maps to which every branch adds as much as they have grow from layer to layer, up to infinity in a hundred layers.
    """
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, _BatchNorm):
                norm.weight.fill_(GAIN)
        for placement in blocks_of(network):
            block = network.get_submodule(placement.site).get_submodule(CHILD)
            for parameter in block.parameters():
                spread = min(SPREAD, parameter[0].numel() ** -0.5) if parameter.ndim > 1 else SPREAD
                parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
    return network
