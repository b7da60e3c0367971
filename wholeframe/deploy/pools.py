"""Adaptive means of any network as products with matrices, while it is exported.

The exporter to ONNX writes the windows of an adaptive pooling for the size of the example, and the file is then wrong
at others. `ops.dense_adaptive_mean` is the same mean with sizes that stay free.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from wholeframe import ops

POOLS = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


class FreePools(TorchFunctionMode):
    """Within this context adaptive means are dense; a mean over the whole map exports as it is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The pooling in its dense form, and every other function as it is."""
        kwargs = kwargs or {}
        return _free_mean(POOLS.index(func) + 1, func, *args, **kwargs) if func in POOLS else func(*args, **kwargs)


def _free_mean(rank: int, func: Any, input: Tensor, output_size: Any) -> Tensor:
    """The mean to `output_size`: a number for all axes, or one for each; None keeps an axis."""
    given = (output_size,) * rank if isinstance(output_size, int) or output_size is None else tuple(output_size)
    if all(isinstance(cells, int) and cells == 1 for cells in given):
        return func(input, output_size)
    grid = input.shape[-rank:]
    size = [cells if wanted is None else wanted for wanted, cells in zip(given, grid, strict=True)]
    if input.ndim == rank + 1:  # a map without a batch
        return ops.dense_adaptive_mean(input[None], size)[0]
    return ops.dense_adaptive_mean(input, size)
