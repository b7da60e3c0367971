"""The goals for time and memory: every block that has one, at the sizes for which the goal is set."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from wholeframe import ops
from wholeframe.bench import references
from wholeframe.bench.case import Case, Forward, Goal, against, against_definition, against_dense, alone
from wholeframe.blocks import CGNL, NonLocal


def _image(batch: int, channels: int, side: int) -> tuple[int, ...]:
    return (batch, channels, side, side)


def _non_local(mode: str, channels: int, **constructor: object) -> Callable[[], tuple[nn.Module, Forward]]:
    return against("mmcv.NonLocal2d", in_channels=channels, mode=mode, **constructor)


CASES: tuple[Case, ...] = (
    Case("nl", _image(4, 512, 28), "mmcv", _non_local("embedded_gaussian", 512), Goal(1.3, 1.1, 1.6), quick=True),
    Case("nl", _image(1, 512, 56), "mmcv", _non_local("embedded_gaussian", 512), Goal(1.45, 1.25, 4)),
    Case("nl", _image(1, 256, 56), "mmcv", _non_local("embedded_gaussian", 256), Goal(1.9, 1.4, 7), quick=True),
    Case(
        "nl, keys pooled",
        (1, 512, 32, 28, 28),
        "mmcv",
        against("mmcv.NonLocal3d", in_channels=512, sub_sample=True),
        Goal(3.5, None, 10),
    ),
    Case(
        "nl, pooled first",
        (1, 512, 8, 28, 28),
        "pytorchvideo",
        against("pytorchvideo.create_nonlocal", dim_in=512, dim_inner=256, pool_size=(1, 2, 2)),
    ),
    Case(
        "nl_dot, pooled first",
        (1, 512, 8, 28, 28),
        "pytorchvideo",
        against(
            "pytorchvideo.create_nonlocal",
            dim_in=512,
            dim_inner=256,
            pool_size=(1, 2, 2),
            instantiation="dot_product",
        ),
    ),
    Case("nl_gaussian", _image(4, 512, 28), "mmcv", _non_local("gaussian", 512), Goal(1.0), quick=True),
    Case("nl_gaussian", _image(1, 512, 56), "mmcv", _non_local("gaussian", 512), Goal(2.2)),
    Case("nl_dot", _image(4, 512, 28), "mmcv", _non_local("dot_product", 512), Goal(1.5, 1.5), quick=True),
    Case("nl_dot", _image(1, 512, 56), "mmcv", _non_local("dot_product", 512), Goal(4.5, 5, 4), quick=True),
    Case(
        "nl_dot",
        (1, 512, 16, 28, 28),
        "mmcv",
        against("mmcv.NonLocal3d", in_channels=512, mode="dot_product"),
        Goal(14, 30, 20),
    ),
    Case(
        "nl_concatenation",
        _image(4, 512, 14),
        "definition",
        against_definition(partial(NonLocal, 512, kind="concatenation", norm=None), references.pairs_concatenated),
        Goal(80, 50, 70),
        quick=True,
    ),
    Case(
        "nl_concatenation",
        _image(1, 512, 28),
        "definition",
        against_definition(partial(NonLocal, 512, kind="concatenation", norm=None), references.pairs_concatenated),
        Goal(400, 250, 350),
        quick=True,
    ),
    Case(
        "nl_concatenation",
        (1, 512, 32, 56, 56),
        None,
        alone(partial(NonLocal, 512, kind="concatenation", norm=None)),
        Goal(seconds=1, gib=0.6),
    ),
    Case(
        "gc",
        _image(8, 512, 28),
        "mmcv",
        against("mmcv.ContextBlock", in_channels=512, ratio=1 / 16),
        Goal(2.3, 2.5, 2),
        quick=True,
    ),
    Case(
        "gc",
        _image(8, 1024, 14),
        "mmcv",
        against("mmcv.ContextBlock", in_channels=1024, ratio=1 / 16),
        Goal(2.3, 2.5, 2),
        quick=True,
    ),
    Case("se", _image(8, 512, 28), "timm", against("timm.SEModule", channels=512), Goal(1.2, 1.4, 1.5), quick=True),
    Case(
        "cgnl",
        _image(4, 512, 28),
        "definition",
        against_definition(partial(CGNL, 512, groups=8), references.cgnl_in_a_loop),
        Goal(1.5, 1.15, 1.1),
        quick=True,
    ),
    Case(
        "covariance",
        (8, 128, 784),
        "definition",
        against_dense(ops.covariance, references.covariance_by_matrix),
        Goal(7, 5, 6),
        quick=True,
    ),
    Case(
        "covariance",
        (2, 128, 3136),
        "definition",
        against_dense(ops.covariance, references.covariance_by_matrix),
        Goal(80, 40, 30),
        quick=True,
    ),
    Case(
        "row conv",
        (8, 128, 128),
        "definition",
        against_dense(ops.row_conv, references.row_conv_by_groups, torch.ones(512, 1, 128), torch.ones(512)),
        Goal(6, 6),
        quick=True,
    ),
    Case(
        "iSQRT, 5 steps",
        (8, 256, 256),
        "definition",
        lambda: (partial(ops.newton_schulz, steps=5), partial(references.newton_schulz_as_released, steps=5)),
        Goal(1.2, 1.4),
        quick=True,
    ),
)
