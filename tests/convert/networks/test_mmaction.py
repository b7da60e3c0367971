"""Files of the first mmaction: its batch norm has two names, and its keys are pooled first."""

import pytest
import torch
from video_layouts import MMACTION2, Layout, Network

from wholeframe import convert


def layout(pooled):
    def name(part, stage=None, index=None, n=None):
        if part in ("conv1", "bn1", "fc"):
            return {"fc": "cls_head.fc_cls"}.get(part, f"backbone.{part}")
        inside = f"backbone.layer{stage - 1}.{index}."
        if part in ("conv", "bn"):
            return f"{inside}{part}{n}"
        if part.startswith("shortcut"):
            return f"{inside}downsample.{int(part.endswith('bn'))}"
        if part in ("out", "nl_bn"):
            return f"{inside}nonlocal_block.W.{int(part == 'nl_bn')}"
        return f"{inside}nonlocal_block.{part}{'.1' if pooled and part != 'theta' else ''}"

    return Layout(name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mode"), [("gaussian", "embedded_gaussian"), ("dot", "dot_product")])
@pytest.mark.parametrize("pooled", [False, True])
def test_a_network_with_a_norm_of_two_names(converted, kind, mode, pooled):
    place = "before" if pooled else ""
    network = Network(layout(pooled), MMACTION2, depth=50, scaled=False, pooled=place, mode=mode)
    state = network.state()
    block = "backbone.layer2.1.nonlocal_block."
    state |= {key.replace("W.1", "bn"): tensor for key, tensor in state.items() if key.startswith(f"{block}W.1")}
    found = converted(network, state, {"state_dict": state}, nonlocal_type=kind, clip=(1, 3, 16, 40, 40))
    assert found.source == "mmaction"
    assert found.report.left[f"{block}bn.weight"] == f"repeats '{block}W.1.weight'"


@pytest.mark.slow
def test_a_norm_whose_two_names_differ_is_refused(tmp_path):
    network = Network(layout(True), MMACTION2, style="3x3x3")
    state = network.state()
    state["backbone.layer2.1.nonlocal_block.bn.bias"] = torch.zeros(128)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"twice, as '.*W.1.bias' and as '.*bn.bias', with other values; remove one"):
        convert.checkpoint(tmp_path / "a.pth")
