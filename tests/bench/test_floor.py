"""The least time follows from multiply-adds and bytes alone."""

from dataclasses import replace

import pytest
import torch
from tiny_networks import with_blocks
from torch import nn

import wholeframe as wf
from wholeframe.bench.floor import Added, added
from wholeframe.models.cost import cost


def counted(batch=2):
    network = with_blocks(lambda channels: wf.NonLocal(channels, inner=4, norm=None))
    return network, cost(network, torch.randn(batch, 3, 12, 12)).blocks


def test_the_cost_of_a_block_has_the_map_that_it_reads():
    _, rows = counted()
    assert [(row.name, row.map) for row in rows] == [
        ("first.bn.wholeframe", (2, 8, 6, 6)),
        ("second.wholeframe", (2, 8, 6, 6)),
    ]


def test_inference_reads_a_map_once_and_writes_it_where_no_sum_follows():
    network, rows = counted()
    least, weights, a_map = added(rows, network, "inference"), 8 * 4 * 4 + 3 * 4 + 8, 2 * 8 * 36
    assert least.macs == 2 * 2 * network.second.wholeframe.multiply_adds((6, 6))
    assert least.bytes == 4 * ((1 + 2) * a_map + 2 * weights)


def test_a_training_step_has_three_products_for_one():
    network, rows = counted()
    least, weights, a_map = added(rows, network, "training step"), 8 * 4 * 4 + 3 * 4 + 8, 2 * 8 * 36
    assert least.macs == 3 * added(rows, network, "inference").macs
    assert least.bytes == 4 * ((3 + 5) * a_map + 6 * 2 * weights)


def test_a_frozen_norm_is_a_norm():
    network, rows = counted()
    with_norm, without = (added([row], network, "inference").bytes for row in rows)
    affine = nn.Sequential(wf.Affine(8))
    frozen = added([replace(rows[0], name="0.wholeframe")], affine, "inference").bytes
    assert frozen == with_norm < without


def test_the_longer_of_both_counts():
    assert Added(100, 10).seconds(10, 10) == 10 and Added(100, 1000).seconds(10, 10) == pytest.approx(100)
