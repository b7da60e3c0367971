"""Batch norm in networks whose batches are small: statistics taken precisely, or layers frozen to y = s x + b.

A clip network has a handful of clips per device, so the running averages that a batch norm collects in training are
noisy. Wang et al. recompute them before every test ("precise" statistics) in the 32-frame networks, and freeze the
layers of the 128-frame ones.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks import Affine
from wholeframe.surgery.probe import evaluating
from wholeframe.surgery.sites import has_block


def freeze_norms(network: nn.Module) -> list[str]:
    """Replace every batch norm of the network, in place, by its affine map; give the names of those replaced.

    In eval mode the network computes what it did, to rounding. State-dict keys `weight` and `bias` keep their names and
    become buffers, the statistics' keys go. Freeze first and insert blocks before a residual sum (`layer3.4.bn3`)
    afterwards: a module that takes a site's place has no hook.

    ValueError if there is no batch norm, if one has no running statistics, or if one has a block.
    """
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    _some(norms, network)
    for name, norm in norms.items():
        if has_block(norm):
            raise ValueError(
                f"a block stands behind the batch norm {name!r} and would be lost with it; `wf.remove` it, freeze, "
                "and insert it again"
            )
    frozen = {name: Affine.folded(norm).train(norm.training) for name, norm in norms.items()}
    for name, affine in frozen.items():
        network.set_submodule(name, affine)
    return list(frozen)


@torch.no_grad()
def precise_bn(network: nn.Module, batches: Iterable[Tensor | Sequence[Any]], n: int = 200) -> int:
    """Set all running statistics to those of the first `n` batches under the present weights; give how many there were.

        mean = sum_i n_i mean_i / N,    var = (sum_i n_i (var_i + mean_i^2) / N - mean^2) N / (N - 1)

    with n_i positions in batch i and N in all: the statistics of all batches as if they were one (each layer still
    sees inputs that were normalised batch by batch, as in training). Only batch norms run in training mode meanwhile;
    flags, weights and dropout are left alone. The released code takes 200 batches before every test.

    batches: what the network takes, or sequences that begin with it, such as (clip, label); moved to its device.

    ValueError if there is no batch norm with statistics, or no batch.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    _some(norms, network)
    device = next(network.parameters()).device
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64, device=device) for norm in norms}

    def add(norm: Any, args: tuple[Tensor, ...]) -> None:
        x = args[0]
        var, mean = (y.double() for y in torch.var_mean(x, dim=[0, *range(2, x.ndim)], correction=0))
        count = x.numel() // x.shape[1]
        sums[norm] += count * torch.stack([torch.ones_like(mean), mean, var + mean.square()])

    used = 0
    with _batch_statistics(network, norms), contextlib.ExitStack() as hooks:
        for norm in norms:
            hooks.enter_context(norm.register_forward_pre_hook(add))
        for batch in islice(batches, n):
            clip: Tensor = batch if isinstance(batch, Tensor) else batch[0]
            network(clip.to(device))
            used += 1
    if used == 0:
        raise ValueError(f"there was no batch to take statistics from (n={n}); the running ones are what they were")
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_((squares / count - mean.square()) * count / (count - 1))
    return used


@contextlib.contextmanager
def _batch_statistics(network: nn.Module, norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within this context batch norms take the statistics of their batch and leave the running ones alone."""
    with evaluating(network):
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
        try:
            yield
        finally:
            for norm in norms:
                norm.track_running_stats = True


def _some(norms: Sized, network: nn.Module) -> None:
    if not norms:
        raise ValueError(f"this {type(network).__name__} has no batch norm with running statistics")
