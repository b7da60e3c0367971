"""Every tensor of a file has its place, or a reason: missing, unknown, doubled and misshapen ones are refused."""

import pytest
import torch

from wholeframe.convert.matched import match_tensors
from wholeframe.convert.plan import Plan

OWN = {"a.weight": torch.empty(2, 3), "a.bias": torch.empty(2), "n.num_batches_tracked": torch.tensor(0)}


def matched(state, **plan):
    values = {"origin": None, "blocks": {}, "names": {"x.": "a.", "y.": "a.", "z.": None}}
    return match_tensors(Plan(**values | plan), OWN, state, "'file'")


STATE = {"x.weight": torch.ones(2, 3), "x.bias": torch.zeros(2)}


def test_all_is_there():
    found = matched({**STATE, "z.mask": torch.ones(9)})
    assert found.loaded == {"a.weight": "x.weight", "a.bias": "x.bias"}
    assert found.left == {"z.mask": "has no meaning here"}
    assert found.tensors["n.num_batches_tracked"] == 0


def test_steps_of_a_norm_that_were_saved_as_floating_point_are_integers_again():
    found = matched({**STATE, "n.num_batches_tracked": torch.tensor(7.0)}, names={"x.": "a.", "n.": "n."})
    assert found.tensors["n.num_batches_tracked"].dtype == torch.long and found.tensors["n.num_batches_tracked"] == 7
    with pytest.raises(ValueError, match=r"'n.num_batches_tracked' is of torch.float32, and integers belong there"):
        matched({**STATE, "n.num_batches_tracked": torch.tensor(7.5)}, names={"x.": "a.", "n.": "n."})


def test_axes_of_one_are_added():
    assert matched({**STATE, "x.weight": torch.ones(2, 3, 1, 1)}).tensors["a.weight"].shape == (2, 3)


def test_equal_doubles_are_named():
    found = matched({**STATE, "y.bias": torch.zeros(2)})
    assert found.left == {"y.bias": "repeats 'x.bias'"}


def test_a_file_of_all_tensors_takes_no_memory_twice():
    assert matched(STATE).tensors["a.weight"].data_ptr() == STATE["x.weight"].data_ptr()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({**STATE, "y.bias": torch.ones(2)}, r"'file' has 'a.bias' twice, as 'x.bias' and as 'y.bias', with other val"),
        (
            {**STATE, "w.bias": torch.ones(2)},
            r"'file' has 1 tensor with names that this source does not have: 'w.bias'",
        ),
        (
            {**STATE, "x.gain": torch.ones(2)},
            r"has 1 tensor that such a network does not have: 'x.gain' \(the first is 'a.g",
        ),
        (
            {"x.bias": torch.ones(2)},
            r"lacks 1 tensor of 3 of such a network: 'x.weight' or 'y.weight', which is 'a.wei",
        ),
        ({}, r"lacks 2 tensors of 3 of such a network: 'x.weight' or 'y.weight', which .* here, and 'a.bias'; give"),
        ({**STATE, "x.weight": torch.ones(3, 2)}, r"'x.weight' has shape \(3, 2\), but 'a.weight' has \(2, 3\) here"),
        ({**STATE, "x.bias": torch.ones(2).int()}, r"'x.bias' is of torch.int32, and floating-point numbers belong th"),
    ],
)
def test_other_files_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        matched(state)
