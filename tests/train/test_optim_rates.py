"""Learning rates over a training, against values by hand."""

import math

import pytest
import torch

from wholeframe.train.optim import START, cosine, scheduler, stepped
from wholeframe.train.recipe import SGD, AdamW, Cosine, OneCycle, Schedule, Steps


def test_steps_by_hand():
    rate = Steps(drops=(30, 60.5), factor=0.1)
    values = {0: 1, 29.99: 1, 30: 0.1, 60.4: 0.1, 60.5: 0.01, 90: 0.01}
    assert {epoch: stepped(epoch, rate) for epoch in values} == pytest.approx(values)


def test_cosine_by_hand():
    values = {0: 1, 10: (1 + math.sqrt(0.5)) / 2, 20: 0.5, 40: 0}
    assert {epoch: cosine(epoch, 40, Cosine()) for epoch in values} == pytest.approx(values, abs=1e-12)


def test_a_warm_up_rises_from_a_thousandth_and_meets_the_rate():
    steps, half = Steps(drops=(40,), warmup=10), Cosine(warmup=5)
    assert stepped(0, steps) == cosine(0, 45, half) == START == 1e-3
    assert stepped(5, steps) == pytest.approx((1 + START) / 2)
    assert stepped(10, steps) == 1 and stepped(9.999, steps) == pytest.approx(1, abs=1e-3)
    assert cosine(5, 45, half) == 1 and cosine(25, 45, half) == pytest.approx(0.5)


def rates(rate, epochs=4, steps=8, peaks=(0.5, 5.0)):
    """The learning rate of each group at every step."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    schedule = scheduler(rate, optimizer, epochs, steps)
    given = []
    for _ in range(steps):
        given.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return given


def test_every_group_follows_at_its_own_height():
    for rate in (OneCycle(), Steps(drops=(1.5, 3)), Cosine(warmup=1)):
        assert all(high == pytest.approx(10 * low) for low, high in rates(rate)), rate


def test_steps_of_the_optimiser_are_parts_of_epochs():
    # Two steps an epoch: step 3 is epoch 1.5, step 6 is epoch 3.
    given = [low for low, _ in rates(Steps(drops=(1.5, 3)))]
    assert given == pytest.approx([0.5] * 3 + [0.05] * 3 + [0.005] * 2)


def test_one_cycle_is_torchs():
    rise = [low for low, _ in rates(OneCycle(rise=0.5), steps=10)]
    assert max(rise) == pytest.approx(0.5) and rise.index(max(rise)) == 4 and rise[-1] < 1e-5


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Schedule(20, rate=Steps(drops=(30, 60))),
            "drops must increase and lie within the 20 epochs, got (30, 60)",
        ),
        (lambda: Schedule(90, rate=Steps(drops=(60, 30))), "after each third: (30.0, 60.0)"),
        (lambda: Schedule(5, rate=Cosine(warmup=5)), "warmup must be shorter than the 5 epochs, got 5"),
        (lambda: Schedule(5, rate=Steps(drops=(), warmup=-1)), "warmup must be at least 0, got -1"),
        (lambda: Schedule(5, rate=OneCycle(rise=1.0)), "rise must lie between 0 and 1, got 1.0"),
        (lambda: Schedule(5, optimizer=SGD(momentum=0.0, nesterov=True)), "nesterov needs a momentum above 0"),
        (
            lambda: Schedule(5, optimizer=AdamW(betas=(0.9, 1.0))),
            "betas must be at least 0 and below 1, got (0.9, 1.0)",
        ),
        (lambda: Schedule(0), "epochs must be at least 1, got 0 (20 is usual)"),
        (lambda: Schedule(lr=-1), "lr must be a positive number, got -1 (0.004 is usual)"),
        (lambda: Schedule(lr=math.nan), "lr must be a positive number, got nan"),
        (lambda: Schedule(block_lr=0), "block_lr must be a positive number, got 0"),
        (lambda: Schedule(weight_decay=-0.1), "weight_decay must be at least 0, got -0.1"),
        (lambda: Schedule(clip=0), "clip must be a positive number, got 0"),
    ],
)
def test_schedules_that_cannot_be(make, sentence):
    with pytest.raises(ValueError) as told:
        make()
    assert sentence in str(told.value)
