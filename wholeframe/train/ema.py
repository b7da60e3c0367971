"""A moving average of the weights, which is evaluated and saved in their place."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor

from wholeframe.train.recipe import Recipe


class MovingAverage(WeightAveraging):
    """The exponential moving average of weights and running statistics, by torch and Lightning.

        a <- d a + (1 - d) w,   d = min(decay, (1 + n) / (10 + n)) after n steps

    Without the growing d the first weights, which have learned nothing, would dominate a short training.

    Source: Tarvainen and Valpola (NeurIPS 2017); the growing decay is that of TensorFlow's
    `ExponentialMovingAverage(num_updates)`.

    Args:
        decay: between 0 and 1.
    """

    def __init__(self, decay: float):
        self.decay = decay
        super().__init__(multi_avg_fn=self._step)

    @torch.no_grad()
    def _step(self, averages: Sequence[Tensor], weights: Sequence[Tensor], count: Any) -> None:
        if not averages[0].is_floating_point():  # numbers of batches that a norm has seen
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)
            return
        new = 1 - torch.clamp((1 + count) / (10 + count), max=self.decay)
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, new.to(average.dtype))


def weight_average(recipe: Recipe) -> list[Callback]:
    """The callback for `recipe.schedule.ema`, in a list; an empty list without it."""
    return [] if recipe.schedule.ema is None else [MovingAverage(recipe.schedule.ema)]
