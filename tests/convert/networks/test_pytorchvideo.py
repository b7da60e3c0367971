"""PyTorchVideo's `create_resnet`: the numbers of its blocks, and the places where users put non-local blocks."""

import pytest
import torch
from video_layouts import NOPOOL, SLOWFAST, Layout, Network

from wholeframe import convert
from wholeframe.convert.networks.pytorchvideo import named


def layout(pooled, way="sequence"):
    """`way` is where the non-local block after block 1 of res3 is."""

    def name(part, stage=None, index=None, n=None):
        shift = (1 if pooled else 0) + (1 if way == "network" else 0)
        if part in ("conv1", "bn1"):
            return f"blocks.0.{'conv' if part == 'conv1' else 'norm'}"
        if part == "fc":
            return f"blocks.{5 + shift}.proj"
        if part in ("theta", "phi", "g", "out", "nl_bn"):
            last = "norm" if part == "nl_bn" else f"conv_{part}"
            here = f"blocks.{2 + int(pooled)}."
            return {
                "sequence": f"{here}res_blocks.1.1.{last}",
                "stage": f"{here}res_blocks.2.{last}",
                "network": f"{here}{last}",
            }[way]
        number = stage - 1 + (shift if stage > 2 else 0)
        if way == "stage" and stage == 3 and index > 1:
            index += 1
        inner = ".0" if way == "sequence" and (stage, index) == (3, 1) else ""
        inside = f"blocks.{number}.res_blocks.{index}{inner}."
        if part in ("conv", "bn"):
            return f"{inside}branch2.{'conv' if part == 'conv' else 'norm'}_{'abc'[n - 1]}"
        return f"{inside}branch1_{'norm' if part.endswith('bn') else 'conv'}"

    return Layout(name)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "site"), [("sequence", (3, 1)), ("stage", (3, 1)), ("network", (2, 2))])
def test_a_network_with_a_block(converted, way, site):
    network = Network(layout(way != "network", way), SLOWFAST if way != "network" else NOPOOL, depth=50, blocks=(site,))
    state = network.state()
    found = converted(network, state, {"model_state": state}, pool=(1, 2, 2), instantiation="softmax")
    assert found.source == "pytorchvideo" and set(found.blocks) == {f"layer{site[0] - 1}.{site[1]}"}


@pytest.mark.slow
def test_the_numbers_show_the_pooling(converted):
    for pooled, geometry in ((True, SLOWFAST), (False, NOPOOL)):
        network = Network(layout(pooled), geometry, depth=50, time=1, blocks=())
        state = network.state()
        converted(network, state, {"model_state": state})


def table(*keys):
    return named(dict.fromkeys(keys, torch.Size((1,))))


STEM = "blocks.0.conv.weight", "blocks.1.res_blocks.0.branch2.conv_a.weight"


def test_a_block_after_the_pooling_is_there():
    names, pooled = table(*STEM, "blocks.3.conv_theta.weight", "blocks.4.res_blocks.0.branch2.conv_a.weight")
    assert pooled and names["blocks.3.conv_theta."] == "pool2.wholeframe.theta."
    assert names["blocks.4.res_blocks.0.branch2.conv_a."] == "layer2.0.conv1."


def test_two_blocks_at_a_site_and_other_gaps_are_refused():
    with pytest.raises(ValueError, match=r"'blocks.3.' is the second non-local block after 'layer1.0'"):
        table(*STEM, "blocks.2.conv_theta.weight", "blocks.3.conv_theta.weight")
    with pytest.raises(ValueError, match=r"there is no tensor before 'blocks.4.'"):
        table(*STEM, "blocks.4.res_blocks.0.branch2.conv_a.weight")


def test_two_pathways_are_refused(tmp_path):
    keys = "multipathway_blocks.0.x", "blocks.0.multipathway_blocks.0.conv.weight", "blocks.1.branch2.conv_a.weight"
    torch.save({key: torch.zeros(1) for key in keys}, tmp_path / "a.pyth")
    with pytest.raises(ValueError, match=r"of a second pathway"):
        convert.checkpoint(tmp_path / "a.pyth")
