"""The variance within images and between them: sums that take one image at a time, against the definition."""

from itertools import combinations

import pytest
import torch
from rounding import agree

from wholeframe.explain.variance import Variance, dense_variance


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(n, 3, dtype=torch.float64, generator=generator) + m
        for m, n in zip((0, 3, -2), (4, 7, 5), strict=True)
    ]


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def of(images):
    variance = Variance()
    for vectors in images:
        variance.add(vectors)
    return variance


def test_the_sums_are_the_definition(images):
    variance = of(images)
    for found, expected in zip((variance.within, variance.between), dense_variance(images), strict=True):
        agree(number(found), number(expected), terms=3 * 7 * 3)
    assert variance.share == pytest.approx(variance.between / (variance.within + variance.between))


def test_the_two_parts_are_the_variance_of_all(images):
    """With as many positions in every image, the sum is the ordinary variance of all vectors."""
    alike = [vectors[:4] for vectors in images]
    every = torch.cat(alike)
    total = (every - every.mean(dim=0)).square().sum(dim=1).mean()
    variance = of(alike)
    agree(number(variance.within + variance.between), total, terms=3 * 4 * 3)


def test_the_ends_of_the_share():
    constant = [torch.full((5, 2), float(value)) for value in (1, 2, 3)]
    assert of(constant).share == 1
    same = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert of([same, same, same]).share == 0


def test_a_large_offset_costs_no_digits(images):
    far = [vectors + 1e6 for vectors in images]
    assert of(far).between == pytest.approx(of(images).between, rel=1e-8)


def test_some_positions_are_right_on_average():
    """The mean of two of four positions moves by itself, which is not a variance between images."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator)
    within, between = dense_variance([first, second])
    found = []
    for i in combinations(range(4), 2):
        for j in combinations(range(4), 2):
            variance = Variance()
            variance.add(first[list(i)], 4)
            variance.add(second[list(j)], 4)
            found.append((variance.within, variance.between))
    averages = number(found).mean(dim=0)
    agree(averages, number([within, between]), terms=36 * 12)


def test_what_has_no_share(images):
    assert of(images[:1]).share is None
    assert of([images[0], torch.ones(4, 5)]).share is None
    rounding = 1e-7 * torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert of([torch.ones(5, 2) + rounding, torch.ones(5, 2) - rounding]).share is None
