"""Batch norm when batches are small: frozen to y = s x + b, with precise statistics, or synchronised over devices.

A clip network has a handful of clips per device, so the running averages that a batch norm collects in training are
noisy. Wang et al. recompute them before every test ("precise" statistics) in the 32-frame networks, and freeze the
layers of the 128-frame ones.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks import Affine
from wholeframe.surgery.activated import AffineThen, SyncBatchNormThen, is_plain, own_children, refuse_norm
from wholeframe.surgery.placement import CHILD, attach, hook_of
from wholeframe.surgery.probe import evaluating, refuse_model
from wholeframe.surgery.record import carry


def freeze_norms(network: nn.Module) -> list[str]:
    """Replace every batch norm of the network by its affine map.

        y = s x + b,    s = weight / sqrt(running_var + eps),    b = bias - s running_mean

    In eval mode the network computes the same as before, up to rounding. The state-dict keys `weight` and `bias` keep
    their names and become buffers; the keys of the statistics disappear. The batch norms of inserted blocks are frozen
    too, `wf.blocks_of` says which, and the block of a site that is a batch norm (`layer3.4.bn3`) stays.

    Args:
        network: changed in place.

    Returns:
        The names of the replaced batch norms.

    Raises:
        ValueError: if there is no batch norm, if the network is one itself, or is compiled or wrapped; if a batch norm
            has no running statistics, has hooks, or computes more than a norm and its children. Nothing is changed
            then.
    """
    norms = _norms_of(network)
    _some(norms, network)
    frozen = {norm: folded(norm) for norm in norms.values()}
    return replace_norms(network, norms, frozen)


def folded(norm: _BatchNorm) -> Affine:
    """The affine map of a batch norm."""
    return (Affine if is_plain(norm) else AffineThen).folded(norm)


@torch.no_grad()
def precise_bn(network: nn.Module, batches: Iterable[Tensor | Sequence[Any]], n: int = 200) -> int:
    """Set all running statistics to those of the first `n` batches under the present weights.

        mean = sum_i n_i mean_i / N,    var = (sum_i n_i (var_i + mean_i^2) / N - mean^2) N / (N - 1)

    with n_i positions in batch i and N in total: the statistics of all batches as if they were one (each layer still
    sees inputs that were normalised batch by batch, as in training). During the passes only batch norms run in training
    mode; flags, weights and dropout do not change. Source: the released code of Wang et al., CVPR 2018, which takes 200
    batches before every test.

    Args:
        network: its running statistics change in place.
        batches: inputs of the network, or sequences that start with one, such as (clip, label); moved to its device.
        n: the most batches to take.

    Returns:
        The number of batches that were taken.

    Raises:
        ValueError: if there is no batch norm with running statistics, or no batch.
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
        raise ValueError(f"there was no batch to take statistics from (n={n}); the running statistics are unchanged")
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_((squares / count - mean.square()) * count / (count - 1))
    return used


def sync_batchnorm(model: nn.Module) -> None:
    """Turn every batch norm, in the network and in inserted blocks, into torch's SyncBatchNorm.

    torch's own `convert_sync_batchnorm` loses the hook of a block whose site is a batch norm (`layer3.4.bn3`): the
    block's weights stay in the state dict, but the block never runs. It also loses the activation that timm's batch
    norms have inside. Here the hook moves to the new module, and what follows a norm inside stays. Names in the state
    dict stay.

    Args:
        model: changed in place.

    Raises:
        ValueError: if the model is compiled or wrapped, or is itself a batch norm, which has no parent to hold a
            replacement; if a batch norm has hooks, or computes more than a norm and its children. Nothing is changed
            then.
    """
    norms = _norms_of(model, but=nn.SyncBatchNorm)
    new = {norm: synchronised(norm) for norm in norms.values()}
    replace_norms(model, norms, new)


def synchronised(norm: _BatchNorm) -> nn.SyncBatchNorm:
    """The synchronised norm of the same tensors."""
    kind = nn.SyncBatchNorm if is_plain(norm) else SyncBatchNormThen
    new = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    new._parameters, new._buffers = norm._parameters, norm._buffers  # an optimiser may hold these very parameters
    return new


def _norms_of(model: nn.Module, but: type | tuple[()] = ()) -> dict[str, _BatchNorm]:
    """All batch norms by name, a shared one by each of its names. ValueError if one cannot be replaced."""
    refuse_model(model)
    if isinstance(model, _BatchNorm):
        raise ValueError(f"the model is a {type(model).__name__} itself, so no other module can replace it")
    modules = model.named_modules(remove_duplicate=False)
    norms = {name: m for name, m in modules if isinstance(m, _BatchNorm) and not isinstance(m, but)}
    for name, norm in norms.items():
        refuse_norm(name, norm)
    return norms


def replace_norms(model: nn.Module, norms: Mapping[str, _BatchNorm], new: Mapping[_BatchNorm, nn.Module]) -> list[str]:
    """Put each new module in the place of its norm, with what follows inside and the block; return the names."""
    for norm, module in new.items():
        for name, child in own_children(norm).items():
            module.add_module(name, child)
        if hook := hook_of(norm):
            attach(module, norm.get_submodule(CHILD), hook.layout, hook.output)
            carry(norm, module)
        module.training = norm.training
    for name, norm in norms.items():
        model.set_submodule(name, new[norm])
    return list(norms)


@contextlib.contextmanager
def _batch_statistics(network: nn.Module, norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within this context batch norms use the statistics of their batch and do not update the running ones."""
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
