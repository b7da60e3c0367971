"""Globs, `nn.Sequential`, and the list of sites."""

from functools import partial

import pytest
from surgery_models import IMAGE, Holder, Net, Same, refuses
from torch import Tensor, nn

from wholeframe.surgery.insert import insert
from wholeframe.surgery.placement import has_block
from wholeframe.surgery.sites import sites


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("layer1.0", ["layer1.0"]),
        ("layer[12].*", ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
        ("layer?.[1]", ["layer1.1", "layer2.1"]),
        ("layer*.*.bn2", ["layer1.0.bn2", "layer1.1.bn2", "layer2.0.bn2", "layer2.1.bn2"]),
        ("layer1", ["layer1.1"]),
        ("neck", ["neck.1.1"]),
        ("layer*", ["layer1.1", "layer2.1"]),
        (["layer2.1", "layer1.1", "layer2", "layer2.[1]"], ["layer1.1", "layer2.1"]),
        (("stem", "layer1.0.conv1"), ["stem", "layer1.0.conv1"]),
    ],
)
def test_globs_and_sequentials(net: Net, at, names):
    report = insert(net, Same, at=at, example=IMAGE)
    assert [row.site for row in report.rows] == names
    assert [name for name, module in net.named_modules() if has_block(module)] == names
    assert all(len(module._forward_hooks) == has_block(module) for name, module in net.named_modules() if name)


def test_globs_are_case_sensitive(net: Net):
    refuses(net, "'LAYER1.*' matches no module", at="LAYER1.*")


@pytest.mark.slow
def test_inserted_blocks_never_match(net: Net):
    insert(net, partial(Same, bias=True), at="layer1.1", example=IMAGE)
    refuses(net, "matches no module", at="layer1.1.wholeframe")
    refuses(net, "matches no module", at="*.*.*.out")
    report = insert(net, Same, at="layer1.1.[bc]*", example=IMAGE)
    assert [row.site for row in report.rows] == [f"layer1.1.{name}" for name in ("conv1", "bn1", "conv2", "bn2")]


def test_a_child_of_its_own_called_wholeframe_can_be_a_site():
    model = Holder(Holder(nn.Conv2d(3, 3, 1)))
    model.inner.wholeframe, model.inner.forward = nn.ReLU(), lambda x: model.inner.wholeframe(x)
    assert [row.site for row in insert(model, Same, at="inner.wholeframe", example=IMAGE).rows] == ["inner.wholeframe"]


def test_a_sequential_with_its_own_forward_is_a_site():
    class Doubled(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * self[0](input)

    report = insert(Holder(Doubled(nn.Conv2d(3, 3, 1), nn.ReLU())), Same, at="inner", example=IMAGE)
    assert report.rows[0].site == "inner"


def test_a_sequential_that_ends_in_a_layer_used_twice_resolves_to_that_layer():
    relu = nn.ReLU()
    refuses(Holder(nn.Sequential(relu, nn.Conv2d(3, 3, 1), relu)), "'inner.2' (ReLU) runs 2 times", at="inner")


def test_sites_lists_what_insert_accepts(net: Net):
    insert(net, Same, at="layer1.0", example=IMAGE)
    found = {site.name: site for site in sites(net, IMAGE)}
    inside = [
        f"layer{i}.{j}{part}" for i in (1, 2) for j in (0, 1) for part in ("", ".conv1", ".bn1", ".conv2", ".bn2")
    ]
    assert list(found) == ["stem", *inside, "neck.0", "neck.1.0", "neck.1.1"]
    assert str(found["layer1.0"]) == "layer1.0 (Residual): 4 channels on 16 x 16, has Same"
    assert str(found["neck.0"]) == "neck.0 (Conv2d): 6 channels on 16 x 16"
    assert (found["neck.0"].block, found["layer1.0"].block) == (None, "Same")
    free = [site.name for site in found.values() if site.block is None]
    assert [row.site for row in insert(net, Same, at=free, example=IMAGE).rows] == free


def test_default_example_without_weights():
    assert [site.channels for site in sites(Holder(nn.MaxPool2d(2)))] == [3]
