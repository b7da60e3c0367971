"""The tensors of a file without what training programs put around them."""

import pytest
import torch

from wholeframe.convert.peeled import peeled
from wholeframe.convert.whole import WholeSource

SOURCES = {"one": WholeSource("a/b", "MIT", (r"^conv1\.weight$",), plan=lambda shapes: None)}
STATE = {"conv1.weight": torch.ones(2), "fc.bias": torch.zeros(1)}


def under(prefix, state=STATE):
    return {prefix + key: tensor for key, tensor in state.items()}


def test_a_plain_state_is_taken_as_it_is():
    found = peeled(STATE, "'f'", SOURCES)
    assert found.state == STATE and (found.read, found.left, found.apart) == ("", {}, {})


@pytest.mark.parametrize("prefix", ["module.", "student.", "module.encoder.inner.", "_orig_mod.net."])
def test_prefixes_are_taken_away(prefix):
    found = peeled({"state_dict": under(prefix), "epoch": 3}, "'f'", SOURCES)
    assert found.state.keys() == STATE.keys() and found.apart == {"epoch": 3}
    assert found.read == f"its 'state_dict', without the prefix {prefix!r}"


def test_a_prefix_of_a_source_stays():
    sources = {"one": WholeSource("a/b", "MIT", (r"^backbone\.conv1\.weight$",), plan=lambda shapes: None)}
    assert peeled(under("backbone."), "'f'", sources).state.keys() == under("backbone.").keys()


def test_unknown_names_stay_as_they_are_where_they_differ_at_once():
    assert peeled({"a.x": torch.ones(1), "b.x": torch.ones(1)}, "'f'", SOURCES).state.keys() == {"a.x", "b.x"}


def test_copies_of_an_average_are_left_with_the_reason():
    state = STATE | {"ema_conv1_weight": torch.zeros(2), "ema_fc_bias": torch.zeros(1), "ema_other": torch.zeros(1)}
    found = peeled(state, "'f'", SOURCES)
    assert found.state.keys() == {*STATE, "ema_other"}
    reason = "kept by an EMAHook, and the weight without `ema_` has the average"
    assert found.left == dict.fromkeys(["ema_conv1_weight", "ema_fc_bias"], reason)


def test_what_is_no_weight_is_named():
    found = peeled(under("module.") | {"n_averaged": torch.ones(1), "name": "r50"}, "'f'", SOURCES)
    assert found.left == {"n_averaged": "counts the steps of an average", "name": "not a tensor"}


def test_a_network_next_to_losses_and_metrics_is_taken():
    state = under("model.net.") | {"criterion.weight": torch.ones(3), "accuracy.total": torch.ones(1)}
    found = peeled({"state_dict": state}, "'f'", SOURCES)
    assert found.state.keys() == STATE.keys()
    assert found.read == "its 'state_dict', without the prefix 'model.net.'"
    reason = "is outside of 'model.net.', where the network is"
    assert found.left == {"criterion.weight": reason, "accuracy.total": reason}


def test_of_a_network_and_its_average_the_average_is_taken():
    average = {key: tensor + 1 for key, tensor in STATE.items()}
    found = peeled(under("model.") | under("ema.module.", average), "'f'", SOURCES)
    assert all(torch.equal(found.state[key], average[key]) for key in STATE)
    assert set(found.left) == set(under("model."))
