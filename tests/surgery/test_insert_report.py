"""The report of `insert`: what it proves, and where it proves nothing."""

import math
from dataclasses import FrozenInstanceError
from functools import partial

import pytest
import torch
from surgery_models import IMAGE, Holder, Net, Plus, Same, Single
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe.surgery.insert import insert


def test_report_prints_as_a_table(net: Net):
    report = insert(net, Same, at=["stem", "layer2.*", "neck.0"], example=IMAGE)
    assert str(report).splitlines() == [
        "site      block  channels  grid     layout          new parameters",
        "stem      Same   4         16 x 16  channels first  16",
        "layer2.0  Same   4         16 x 16  channels first  16",
        "layer2.1  Same   4         16 x 16  channels first  16",
        "neck.0    Same   6         16 x 16  channels first  36",
        "4 blocks, 84 new parameters, output unchanged: yes",
    ]
    assert (report.unchanged, report.deviation) == (True, 0.0)
    with pytest.raises(FrozenInstanceError):
        report.unchanged = False


def test_report_of_a_block_that_is_not_an_identity():
    model = Single(lambda inner, x: inner(x))
    report = insert(model, Plus, at="inner", example=IMAGE)
    assert not report.unchanged
    assert report.deviation == pytest.approx(0.25)
    assert str(report).splitlines()[-1] == (
        "1 block, 3 new parameters, output unchanged: no "
        "(max |difference| 0.25; this block is not an identity at initialisation)"
    )


def test_a_block_that_claims_nothing_and_changes_nothing():
    report = insert(Single(lambda inner, x: inner(x)), partial(Plus, step=0.0), at="inner", example=IMAGE)
    assert report.unchanged and str(report).endswith("output unchanged: yes")


def test_large_numbers_have_commas():
    model = Holder(nn.Conv2d(3, 1200, 1))
    assert "1 block, 1,440,000 new parameters" in str(insert(model, Same, at="inner", example=IMAGE))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("example", [None, (2, 3, 16, 16)])
def test_without_values_shapes_are_checked_and_nothing_is_claimed(example):
    with FakeTensorMode():
        net = Net()
        image = None if example is None else torch.empty(example)
        report = insert(net, Same, at="layer1.*", example=image)
        with pytest.raises(ValueError, match="the model no longer runs with the blocks in place"):
            insert(net, lambda channels: nn.Conv2d(channels, 7, 1), at="layer2.0", example=image)
    assert [row.parameters for row in report.rows] == [16, 16] and not report.unchanged
    assert str(report).endswith("output unchanged: not known (the model's output on the example has no values)")


def test_nan_next_to_numbers_is_not_a_change():
    scale = torch.tensor([float("nan"), float("inf"), 1.0]).view(3, 1, 1)
    report = insert(Single(lambda inner, x: inner(x) * scale), Same, at="inner", example=IMAGE)
    assert report.unchanged and report.deviation == 0 and report.unproved is None


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("block", [Same, partial(Plus, step=0.0)])
@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (torch.full((2, 3, 16, 16), float("nan")), "has no finite number"),
        (torch.empty(0, 3, 16, 16), "is empty"),
    ],
    ids=["nan", "empty batch"],
)
def test_an_example_that_cannot_show_a_change_proves_nothing(block, example, reason):
    report = insert(Holder(nn.Conv2d(3, 3, 1)), block, at="inner", example=example)
    assert not report.unchanged and math.isnan(report.deviation)
    assert str(report).endswith(f"output unchanged: not known (the model's output on the example {reason})")


def test_infinity_plus_a_number_proves_nothing():
    report = insert(Single(lambda inner, x: inner(x).abs() / 0), partial(Plus, step=0.0), at="inner", example=IMAGE)
    assert not report.unchanged and report.unproved == "the model's output on the example has no finite number"


def test_a_block_that_sees_no_number_is_not_proved_by_the_output():
    model = Single(lambda inner, x: inner(x * float("nan")).nan_to_num() + 1)
    report = insert(model, Same, at="inner", example=IMAGE)
    assert not report.unchanged
    assert report.unproved == "the input of the block at 'inner' has no finite number"


def test_a_model_without_tensors_in_its_output_proves_nothing():
    report = insert(Single(lambda inner, x: str(inner(x))), Same, at="inner", example=IMAGE)
    assert not report.unchanged and report.unproved == "the model's output on the example is empty"


def test_a_change_is_reported_where_the_rest_is_nan():
    report = insert(Single(lambda inner, x: inner(x).sqrt()), partial(Plus, step=1e6), at="inner", example=IMAGE)
    assert not report.unchanged and report.unproved is None and report.deviation > 100
