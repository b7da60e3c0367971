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


@pytest.mark.parametrize("wrapper", ["module", "_orig_mod", "_fsdp_wrapped_module"])
def test_wrappers_of_parts_are_taken_away(wrapper):
    state = {f"conv1.{wrapper}.weight": torch.ones(2), "fc.bias": torch.zeros(1)}
    found = peeled(state, "'f'", SOURCES)
    assert found.state.keys() == STATE.keys() and found.read == "without the wrappers of its parts"


def test_names_that_would_be_equal_without_wrappers_stay():
    state = STATE | {"conv1.module.weight": torch.ones(2)}
    assert peeled(state, "'f'", SOURCES).state.keys() == state.keys()


def test_a_network_is_taken_out_of_any_part():
    found = peeled(under("encoder.body.") | {"decoder.x": torch.ones(1)}, "'f'", SOURCES)
    assert found.state.keys() == STATE.keys() and found.read == "without the prefix 'encoder.body.'"
    assert found.left == {"decoder.x": "is outside of 'encoder.body.', where the network is"}


def test_a_source_whose_names_fit_under_any_prefix_is_not_looked_for_in_parts():
    sources = {
        "one": WholeSource("a/b", "MIT", (r"(^|\.)g\.weight$",), plan=lambda shapes: None, excluded=(r"^head\.",))
    }
    state = {"body.g.weight": torch.ones(1), "head.x": torch.ones(1)}
    assert peeled(state, "'f'", sources).state.keys() == state.keys()


def test_two_networks_are_refused():
    with pytest.raises(
        ValueError, match=r"'f' holds 2 networks, whose names begin with 'student\.', 'teacher\.b\.'; save one"
    ):
        peeled(under("student.") | under("teacher.b."), "'f'", SOURCES)


def test_what_a_profiler_counts_is_left():
    found = peeled(STATE | {"total_ops": torch.ones(1), "conv1.total_params": torch.ones(1)}, "'f'", SOURCES)
    assert found.state.keys() == STATE.keys()
    assert found.left == dict.fromkeys(["total_ops", "conv1.total_params"], "counted by a profiler, thop")


@pytest.mark.parametrize("name", ["conv1.weight_orig", "conv1.weight_g", "conv1.parametrizations.weight.original0"])
def test_tensors_that_weights_are_computed_from_are_refused(name):
    with pytest.raises(ValueError, match=r"'f' holds '.*', from which torch computes weights .*prune.remove"):
        peeled(STATE | {name: torch.ones(2)}, "'f'", SOURCES)
