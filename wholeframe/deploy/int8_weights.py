"""A network with the weights of its linear layers in 8 bits, by torchao; every product stays in float.

    y = (x Q^T) * s + b,    Q = round(W / s) in int8,    s_k = max_j |W_kj| / 127.5

The weights of blocks stay in float, as in the ONNX file: a softmax over positions, a covariance and its root amplify
what the rounding of their projections changes.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wholeframe.blocks import Block, ISqrtCov
from wholeframe.deploy.prepared import needed
from wholeframe.surgery.merged import CONVOLUTIONS, Merged

NOT_LINEAR = "torchao rounds the weights of linear layers only"
NOT_PLAIN = "another module computes with its weight, or its weight or forward is not that of a plain linear layer"


class Rounded(NamedTuple):
    """A network with 8-bit weights.

    Args:
        network: on the CPU, in eval mode, with plain tensors: its program needs no torchao.
        layers: the names of the linear layers with 8-bit weights.
        kept: the kinds of layers of blocks that stay in float, with their number.
        left: the layers outside of blocks that stay in float -> the reason.
    """

    network: nn.Module
    layers: tuple[str, ...]
    kept: Mapping[str, int]
    left: Mapping[str, str]


def rounded(network: nn.Module, example: Tensor) -> Rounded:
    """Round the weights of the linear layers outside of blocks, in a copy.

    Raises:
        ValueError: if torchao is not installed.
    """
    with warnings.catch_warnings():  # the first import compiles its sources, which have warnings of their own
        warnings.simplefilter("ignore")
        needed("torchao", "quantize")
        quantization, tensors = (needed(f"torchao.{part}", "quantize") for part in ("quantization", "utils"))
    copied = copy.deepcopy(network).cpu().eval()
    called = _called(copied, example.detach().cpu())
    layers, kept, left = [], Counter[str](), {}
    blocks = {inner for m in copied.modules() if isinstance(m, Block | ISqrtCov) for inner in m.modules()}
    merged = {inner for m in copied.modules() if isinstance(m, Merged) for inner in m.modules()}
    for name, m in copied.named_modules():
        if not any(p.ndim > 1 for p in m.parameters(recurse=False)):
            continue
        if m in blocks or (m in merged and type(m) not in CONVOLUTIONS):
            kept[type(m).__name__] += 1
        elif not isinstance(m, nn.Linear):
            left[name] = NOT_LINEAR
        elif m not in called or not _is_plain(m):
            left[name] = NOT_PLAIN
        else:
            layers.append(name)
    # Settings of the compiler are global, so this leaves them as they are.
    config = quantization.Int8WeightOnlyConfig(set_inductor_config=False)
    quantization.quantize_(copied, config, filter_fn=lambda _, name: name in layers)
    # A tensor of torchao in a file would need torchao to open it; its integers and scales are tensors of torch.
    return Rounded(tensors.unwrap_tensor_subclass(copied), tuple(layers), dict(sorted(kept.items())), left)


def _is_plain(layer: nn.Linear) -> bool:
    """Whether y = x W^T + b with a parameter W, so that W can be replaced."""
    forward = getattr(layer.forward, "__func__", None)
    return forward is nn.Linear.forward and isinstance(layer._parameters.get("weight"), nn.Parameter)


def _called(network: nn.Module, example: Tensor) -> set[nn.Module]:
    """The linear layers that run as modules: attention of torch, say, reads the weight of its last layer instead."""
    found: set[nn.Module] = set()
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    handles = [m.register_forward_pre_hook(lambda layer, _: found.add(layer)) for m in linear]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return found
