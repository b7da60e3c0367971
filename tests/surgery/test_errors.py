"""What `insert` refuses, with the sentence; the model is then exactly as before."""

import copy
from functools import partial

import pytest
import torch
import torchvision
from surgery_models import IMAGE, Chain, FalseIdentity, Holder, Net, Returns, Same, Single, refuses
from torch import Tensor, nn

import wholeframe as wf
from wholeframe.surgery.insert import insert, remove
from wholeframe.surgery.sites import sites


@pytest.mark.slow
def test_refuses_a_pattern_without_match_even_next_to_one_that_matches(net: Net):
    refuses(net, "at='layer3.*' matches no module", "'layer2.1'", "wf.sites(model)", at=["layer1.*", "layer3.*"])
    refuses(net, "at='layer1.0.bn3' matches no module", "'layer1.0.bn2'", at="layer1.0.bn3")
    refuses(net, "at='zzzzzz' matches no module; `wf.sites(model)`", at="zzzzzz")
    refuses(net, "at=[] matches no module", at=[])
    refuses(net, "matches no module", at="")


def test_refuses_a_second_block(net: Net):
    insert(net, Same, at="layer1.1", example=IMAGE)
    words = ["'layer1.1' already has a block, Same", "wf.remove(model"]
    message = refuses(net, *words, at=["layer1", "layer2.0"])
    assert "layer2.0" not in message


def test_refuses_a_site_that_runs_twice_and_names_others(net: Net):
    words = [
        "'layer1.0.relu' (ReLU) runs 2 times",
        "near it 'layer1.0', 'layer1.0.conv2', 'layer1.0.bn1', 'layer1.0.bn2' would do",
    ]
    refuses(net, *words, at="layer1.0.relu")


def test_refusals_name_every_site(net: Net):
    refuses(net, "'layer1.0.relu'", "'layer1.1.relu'", at=["layer1.*.relu", "stem"])


def test_refuses_a_site_that_never_runs(net: Net):
    refuses(net, "'unused' (Conv2d) never ran", "eval mode", at="unused")


def test_refuses_an_empty_sequential(net: Net):
    refuses(net, "'empty' is an empty nn.Sequential", at="empty")


def test_refuses_an_output_without_grid(net: Net):
    refuses(net, "'fc' returns a tensor (2, 5) of torch.float32, which has no grid", "(b, c, *grid)", at="fc")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda x: (x, x), "returns a tuple of 2"),
        (lambda x: {"x": x.long()}, "returns a dict of 1"),
        (lambda x: None, "returns a NoneType"),
        (lambda x: x.long(), "returns a tensor (2, 3, 16, 16) of torch.int64, and a block takes floating point"),
    ],
    ids=["tuple", "dict", "none", "integers"],
)
def test_refuses_an_output_that_is_not_a_map(output, words: str):
    refuses(Holder(Returns(output)), "'inner'", words)


def test_refuses_a_site_with_the_name_taken():
    model = Holder(nn.Conv2d(3, 3, 1))
    model.inner.wholeframe = "mine"
    refuses(model, "'inner' already has an attribute 'wholeframe'")


def test_refuses_a_site_that_was_replaced_after_an_insert(net: Net):
    insert(net, Same, at="layer1.0.bn2", example=IMAGE)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    with pytest.warns(UserWarning, match=r"1 inserted block no longer runs \(layer1.0.bn2\)"):
        refuses(
            net,
            "'layer1.0.bn2' has a child 'wholeframe' that no hook runs",
            "convert_sync_batchnorm",
            at="layer1.0.bn2",
        )


def test_refuses_a_block_that_is_not_a_builder(net: Net):
    words = ["block is a Same", "functools.partial(Same, ...)"]
    refuses(net, *words, error=TypeError, block=Same(4), at="layer1.0")
    refuses(net, "block='same' is a name, and BLOCKS does not have it", error=TypeError, block="same", at="layer1.0")
    refuses(net, "block(4) returns a NoneType", error=TypeError, block=lambda channels: None, at="layer1.0")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ("gc", "block='gc' is a name; pass what builds the block, wf.BLOCKS['gc'].make or wf.GlobalContext"),
        ("nl_dot", "pass what builds the block, wf.BLOCKS['nl_dot'].make"),
        ("gcc", "block='gcc' is a name, and BLOCKS does not have it; the nearest are gc"),
    ],
)
def test_refuses_a_block_by_name_and_says_what_builds_it(net: Net, block: str, sentence: str):
    assert refuses(net, sentence, error=TypeError, block=block, at="layer1.0").count("wf.") == sentence.count("wf.")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("at", [1, None, [1], ["layer1.0", None], nn.ReLU()], ids=repr)
def test_refuses_an_at_that_is_not_a_glob(net: Net, at):
    refuses(net, f"at={at!r} is not a glob over module names", "at='layer4.*'", error=TypeError, at=at)


def test_remove_refuses_an_at_that_is_not_a_glob(net: Net):
    insert(net, Same, at="layer1.0", example=IMAGE)
    with pytest.raises(TypeError, match="at=1 is not a glob over module names"):
        remove(net, at=1)


@pytest.mark.parametrize(
    ("model", "given"), [(Net, "the class Net"), (torchvision.models.resnet18, "a function"), ("resnet18", "a str")]
)
def test_refuses_a_model_that_is_not_built(model, given: str):
    for act in (partial(insert, block=Same, at="layer1.0"), remove, sites):
        with pytest.raises(TypeError, match=f"model is {given}, and blocks are inserted into a network that is built"):
            act(model)


def test_every_function_refuses_what_is_not_a_network():
    for act in (wf.verify, wf.blocks_of, wf.bake, wf.freeze_norms, wf.sync_batchnorm, wf.reset_blocks):
        with pytest.raises(TypeError, match=r"model is a NoneType, and blocks are .* give an nn.Module"):
            act(None)
    with pytest.raises(TypeError, match="model is a NoneType"):
        wf.cost(None, IMAGE)


def test_refuses_an_object_that_runs_another_network(net: Net):
    """As ultralytics' YOLO, which is an nn.Module and predicts with a copy."""

    class Program(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = net

        def forward(self, x: Tensor) -> Tensor:
            return copy.deepcopy(self.model)(x)

    words = ["'model.layer1.0' (Residual) never ran", "none of the model's modules ran", "such as `yolo.model`"]
    refuses(Program(), *words, at="model.layer1.0")


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("gc", ["pass what builds the block, wf.BLOCKS['gc'].make or wf.GlobalContext"]),
        (3, ["block is a int", "pass a class such as wf.GlobalContext"]),
        (None, ["block is a NoneType", "pass a class such as wf.GlobalContext"]),
        ({"gc": {}}, ["block is a dict", "pass a class such as wf.GlobalContext"]),
        (wf.BLOCKS["gc"], ["block is an entry of BLOCKS", "pass its method `make`"]),
        (nn.Identity(), ["block is a Identity", "pass the class itself, or `functools.partial(Identity, ...)`"]),
        (lambda _channels: Same, ["block(4) returns the class Same, and insert needs an nn.Module"]),
        (lambda _channels: None, ["block(4) returns a NoneType, and insert needs an nn.Module"]),
        (lambda: None, ["building the block for 'layer1.0' with 4 channels; the model is unchanged"]),
    ],
)
def test_what_cannot_build_a_block_is_named(net: Net, block, words: list[str]):
    refuses(net, *words, error=TypeError, block=block, at="layer1.0")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("at", [1, None, b"layer1.0", {}, {"layer1.0": "gc"}, ["layer1.0", None], nn.Identity()])
def test_what_is_not_a_glob_is_named(net: Net, at):
    refuses(net, "is not a glob over module names; write one such as at='layer4.*'", error=TypeError, at=at)


def test_the_model_itself_is_no_site(net: Net):
    refuses(net, "at='' matches no module; the model itself has no parent to hold a block", at="")


def test_refuses_when_a_constructor_raises(net: Net):
    def grouped(channels: int) -> nn.Module:
        if channels == 6:
            raise ValueError("groups=4 does not divide channels=6")
        return Same(channels)

    words = ["groups=4 does not divide channels=6", "building the block for 'neck.0' with 6 channels"]
    refuses(net, *words, block=grouped, at=["layer1.0", "neck.0"])


def test_refuses_a_false_identity(net: Net):
    words = ["FalseIdentity at 'layer1.0' declares identity_at_init", "max |difference| 0.25", "the model is unchanged"]
    refuses(net, *words, block=FalseIdentity, at=["layer1.0", "layer2.0"])


def test_refuses_a_false_identity_that_the_output_hides():
    refuses(
        Single(lambda inner, x: inner(x) * 0), "FalseIdentity at 'inner' declares identity_at_init", block=FalseIdentity
    )


def test_refuses_to_judge_an_identity_by_infinite_numbers():
    words = ["the input of the new Same at 'inner' has no finite number", "cannot prove identity_at_init", "example="]
    refuses(Holder(nn.Identity()), *words, example=torch.full((1, 3, 4, 4), float("inf")))


def test_refuses_an_identity_that_changes_the_output_in_place():
    class InPlace(nn.Module):
        identity_at_init = True

        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x.add_(0.5)

    refuses(Single(lambda inner, x: inner(x)), "the model's output changed (max |difference| 0.5)", block=InPlace)


def test_refuses_to_prove_anything_about_a_model_that_does_not_repeat_itself():
    counter = iter(range(100))
    model = Single(lambda inner, x: inner(x) + next(counter))
    refuses(model, "different outputs for the same input and seed", "deterministic")


def test_refuses_a_container_that_runs_its_children():
    inner = Chain(nn.Conv2d(3, 3, 1), nn.ReLU())
    refuses(Holder(inner), "Same at 'inner' ran 2 times", "(Chain)", "insert at its last child, 'inner.step1'")
    assert insert(Holder(inner), Same, at="inner.step1", example=IMAGE).unchanged


def test_refuses_a_container_whose_children_do_not_take_maps():
    model = torchvision.models.DenseNet(4, (2,), 8)  # its _DenseBlock hands every child a list of maps
    words = [
        "no longer runs with the blocks in place",
        "If 'features.denseblock1' (_DenseBlock) runs whatever children",
    ]
    refuses(
        model, *words, "'features.denseblock1.denselayer2'", at="features.denseblock1", example=torch.rand(1, 3, 32, 32)
    )


def test_refuses_one_block_for_two_sites(net: Net):
    one = Same(4)
    refuses(net, "the very same Same for several sites", block=lambda channels: one, at="layer1.*")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("give_back", [lambda x: x[..., ::2], lambda x: x.double(), lambda x: (x, x)])
def test_refuses_a_block_that_changes_shape_or_kind(give_back):
    class Odd(Returns):
        def __init__(self, channels: int) -> None:
            super().__init__(give_back)

    model = Single(lambda inner, x: (inner(x), 0)[1] * x)
    refuses(model, "Odd at 'inner' is given a tensor (2, 3, 16, 16) of torch.float32 and returns", block=Odd)


def test_refuses_a_block_that_fails(net: Net):
    refuses(net, "no longer runs", "RuntimeError", block=lambda channels: Same(channels + 1), at="layer1.0")


def test_refuses_compiled_models(net: Net):
    compiled = torch.compile(net, backend="eager")
    for act in (partial(insert, block=Same, at="layer1.0", example=IMAGE), remove, sites):
        with pytest.raises(ValueError, match=r"the model is compiled, .* insert and remove blocks first"):
            act(compiled)
    net.layer1[0].compile(backend="eager")
    with pytest.raises(ValueError, match=r"'layer1.0' in the model is compiled"):
        insert(net, Same, at="layer2.0", example=IMAGE)
