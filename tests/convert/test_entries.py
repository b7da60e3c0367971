"""Which state dict of a file is converted."""

import pytest
import torch

from wholeframe.convert.entries import chosen_entry, is_average

NETWORK = {"conv1.weight": torch.ones(1)}
AVERAGE = {"conv1.weight": torch.zeros(1)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(1), "step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]}


def chosen(content):
    said, state = chosen_entry(content, "'f'", lambda state: "conv1.weight" in state)
    return said, bool(state["conv1.weight"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (NETWORK, ""),
        ({"state_dict": NETWORK, "optimizer": OPTIMIZER, "epoch": 1}, "its 'state_dict'"),
        ({"checkpoint": {"state_dict": NETWORK}, "optimizer": OPTIMIZER}, "its 'checkpoint.state_dict'"),
        ([NETWORK, OPTIMIZER], "its '0'"),
        ((3, {"module": NETWORK}), "its '1.module'"),
        ({"G": NETWORK, "D": {"fc.weight": torch.ones(1)}}, "its 'G'"),
        ({"teacher": NETWORK, "model": NETWORK}, "its 'model', not 'teacher'"),
    ],
)
def test_the_network_is_found_in_any_entry(content, said):
    assert chosen(content) == (said, True)


@pytest.mark.parametrize(
    "entry", ["ema", "state_dict_ema", "ema_state_dict", "params_ema", "model-EMA", "averaged_model", "swa_state"]
)
def test_averages_come_first(entry):
    assert chosen({"model": NETWORK, entry: AVERAGE}) == (f"its '{entry}', not 'model'", False)
    assert chosen({"model": NETWORK, entry: {"module": AVERAGE, "decay": 0.9}}) == (
        f"its '{entry}.module', not 'model'",
        False,
    )


def test_a_name_with_the_same_letters_is_no_average():
    assert not is_average("schema.remarks") and not is_average("swap")


def test_two_networks_of_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"'f' holds the networks 'student', 'teacher'; save one of them alone"):
        chosen({"student": NETWORK, "teacher": NETWORK})


def test_without_a_network_of_a_source_the_usual_entry_is_taken():
    said, state = chosen_entry({"state_dict": {"x": torch.ones(1)}}, "'f'", lambda state: False)
    assert (said, list(state)) == ("its 'state_dict'", ["x"])
    with pytest.raises(ValueError, match="'f' holds no state dict"):
        chosen_entry({"epoch": 3}, "'f'", lambda state: False)


def test_containers_in_each_other_end():
    content: object = NETWORK
    for _ in range(2000):
        content = [content]
    with pytest.raises(ValueError, match="'f' holds no state dict"):
        chosen(content)
