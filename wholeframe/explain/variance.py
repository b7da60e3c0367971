"""How the variance of a vector at every position of every image divides: within the images, and between them.

    v_m = mean_i v_mi,    v = mean_m v_m                             i over the n_m positions of image m
    mean_m mean_i |v_mi - v|^2  =  mean_m mean_i |v_mi - v_m|^2  +  mean_m |v_m - v|^2
           total                          within                        between

Every image has the same weight, whatever its size. Statistics within images, such as those of `dependence`, do not see
the second term: a query that is the same at all positions of an image, and another one in every image, has none of the
first.
"""

import torch
from torch import Tensor

from wholeframe.explain.dependence import of_pairs


class Variance:
    """Takes one image at a time, and keeps a sum and a mean."""

    def __init__(self) -> None:
        self.images = 0
        self.mean: Tensor | None = None
        self.comparable = True
        """Whether all vectors have the same length: weights over grids of different sizes do not compare."""
        self._within = self._between = self._noise = self._square = 0.0

    def add(self, vectors: Tensor, positions: int | None = None) -> None:
        """Add the vectors `(q, c)` of one image.

        Args:
            vectors: of all its positions, or of q distinct random ones.
            positions: n, the number of all of them; None for q.
        """
        q = len(vectors)
        n = q if positions is None else positions
        v = vectors.double()
        mean = v.mean(dim=0)
        if self.mean is None:
            self.mean = torch.zeros_like(mean)
        self.comparable = self.comparable and self.mean.shape == mean.shape
        if not self.comparable:
            return
        self.images += 1
        within = of_pairs(q, n) * (v - mean).square().sum(dim=1).mean().item()
        self._within += within
        # The mean of q of n positions is not that of all: its own variance is taken from the variance between.
        self._noise += within * n / (n - 1) * (1 / q - 1 / n) if q < n else 0.0
        self._square += v.square().sum(dim=1).mean().item()
        step = mean - self.mean
        self.mean = self.mean + step / self.images
        self._between += (step @ (mean - self.mean)).item()

    @property
    def within(self) -> float:
        """mean_m mean_i |v_mi - v_m|^2."""
        return self._within / self.images

    @property
    def between(self) -> float:
        """mean_m |v_m - v|^2; unbiased for images of which a part of the positions was given."""
        return (self._between - (1 - 1 / self.images) * self._noise) / self.images

    @property
    def share(self) -> float | None:
        """between / (within + between), 0 to 1.

        None for fewer than two images, for vectors that do not compare, and where all are alike to rounding.
        """
        if not self.comparable or self.images < 2:
            return None
        total = self.within + self.between
        if total <= ALIKE * self._square / self.images:
            return None
        return min(max(self.between / total, 0.0), 1.0)


ALIKE = 1e-11
"""of the mean square: the rounding of float32 moves vectors by 1e-7 of their length, and 1e-14 of its square"""


def dense_variance(images: list[Tensor]) -> tuple[float, float]:
    """The definition of `within` and `between`, from the vectors `(n, c)` of all images."""
    means = torch.stack([vectors.double().mean(dim=0) for vectors in images])
    within = [(v.double() - mean).square().sum(dim=1).mean() for v, mean in zip(images, means, strict=True)]
    between = (means - means.mean(dim=0)).square().sum(dim=1).mean()
    return torch.stack(within).mean().item(), between.item()
