"""insert, remove and sites: the promises of `wholeframe.surgery.insert`, on tiny hosts and on real ones."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from functools import partial
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.hooks import RemovableHandle

from wholeframe.surgery.insert import insert, remove, sites
from wholeframe.surgery.sites import has_block

IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Born(nn.Module):
    """Residual 1x1 convolution over any grid, with a zero weight: an identity until it is trained."""

    identity_at_init = True

    def __init__(self, channels: int, bias: bool = False) -> None:
        super().__init__()
        self.out = nn.Linear(channels, channels, bias=bias)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(x.movedim(1, -1)).movedim(-1, 1)


class Plus(nn.Module):
    """Adds a constant, and says nothing about identities."""

    def __init__(self, channels: int, step: float = 0.25) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.full((channels,), step))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.step.view(-1, *[1] * (x.dim() - 2))


class Liar(Plus):
    identity_at_init = True


class Residual(nn.Module):
    """conv, bn, relu twice, with one relu for both places, as in torchvision."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class Net(nn.Module):
    """A ResNet in small: stem, layer1 (2 blocks), layer2 (2 blocks), a nested Sequential, an unused module, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(Residual(4), Residual(4))
        self.layer2 = nn.Sequential(Residual(4), Residual(4))
        self.neck = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Sequential(nn.BatchNorm2d(6), nn.Dropout(0.5)))
        self.empty = nn.Sequential()
        self.unused = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.neck(self.layer2(self.layer1(self.stem(x))))
        return self.fc(self.empty(y).mean((2, 3)))


class Single(nn.Module):
    """Wraps whatever forward the test is about around one convolution `inner`."""

    def __init__(self, run) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)
        self.run = run

    def forward(self, x: Tensor):
        return self.run(self.inner, x)


class Chain(nn.Module):
    """A container that runs whatever children it has."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for index, layer in enumerate(layers):
            self.add_module(f"step{index}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Holder(nn.Module):
    """Gives a module under test a name, `inner`, and calls it once."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


class Returns(nn.Module):
    """A layer whose output is whatever `give` makes of its input."""

    def __init__(self, give) -> None:
        super().__init__()
        self.give = give

    def forward(self, x: Tensor):
        return self.give(x)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    model = Net()
    model(IMAGE)  # running statistics that are not those of the start
    return model


def give(model: nn.Module, *args) -> Tensor:
    """The model's output in eval mode, with every training flag restored."""
    flags = {module: module.training for module in model.modules()}
    with torch.no_grad():
        out = model.eval()(*args)
    for module, flag in flags.items():
        module.training = flag
    return out


def snapshot(model: nn.Module) -> dict:
    """All that `insert` must leave as it was when it refuses."""
    return {
        "keys": list(model.state_dict()),
        "values": [value.clone() for value in model.state_dict().values()],
        "modules": [name for name, _ in model.named_modules(remove_duplicate=False)],
        "flags": [module.training for module in model.modules()],
        "hooks": [dict(module._forward_hooks) for module in model.modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
    }


def assert_same(model: nn.Module, before: dict) -> None:
    after = snapshot(model)
    values, old_values = after.pop("values"), before["values"]
    assert after == {key: value for key, value in before.items() if key != "values"}
    assert all(torch.equal(new, old) for new, old in zip(values, old_values, strict=True))


def refuses(model: nn.Module, *words: str, error=ValueError, example=IMAGE, block=Born, at="inner") -> str:
    """`insert` raises, its message has all the words, and the model is what it was."""
    before = snapshot(model)
    with pytest.raises(error) as caught:
        insert(model, block, at=at, example=example)
    assert_same(model, before)
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    for word in words:
        assert word in message
    return message


# --- what insert does ------------------------------------------------------------------------------------------------


def test_block_becomes_a_child_and_old_keys_stay(net: Net):
    before, keys = give(net, IMAGE), list(net.state_dict())
    report = insert(net, Born, at="layer1.1", example=IMAGE)
    assert isinstance(net.layer1[1].wholeframe, Born)
    assert [key for key in net.state_dict() if key in keys] == keys
    assert set(net.state_dict()) - set(keys) == {"layer1.1.wholeframe.out.weight"} == set(report.parameter_names)
    assert torch.equal(give(net, IMAGE), before)


def test_block_sees_the_output_of_its_host_and_what_it_gives_counts(net: Net):
    class Zero(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            self.seen = x
            return torch.zeros_like(x)

    sums = []
    net.layer2[0].bn2.register_forward_hook(lambda _module, _args, output: sums.append(output))
    insert(net, Zero, at="layer2.0.bn2", example=IMAGE)
    sums.clear()
    give(net, IMAGE)
    assert torch.equal(net.layer2[0].bn2.wholeframe.seen, sums[0])
    through = give(net.layer2[0], torch.rand(1, 4, 5, 5))
    assert through.shape == (1, 4, 5, 5)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(give(net.layer2[0], x), x)  # relu(0 + x): the block stands before the sum


def test_blocks_train(net: Net):
    report = insert(net, Born, at=["layer1.*", "neck"], example=IMAGE)
    net(IMAGE).square().sum().backward()
    parameters = dict(net.named_parameters())
    assert len(report.parameter_names) == 3
    for name in report.parameter_names:
        gradient = parameters[name].grad
        assert gradient is not None and gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("at", "hosts"),
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
def test_globs_and_sequentials(net: Net, at, hosts):
    report = insert(net, Born, at=at, example=IMAGE)
    assert [row.site for row in report.rows] == hosts
    assert [name for name, module in net.named_modules() if has_block(module)] == hosts
    assert all(len(module._forward_hooks) == has_block(module) for module in net.modules())


def test_globs_are_case_sensitive(net: Net):
    refuses(net, "'LAYER1.*' matches no module", at="LAYER1.*")


def test_inserted_blocks_never_match(net: Net):
    insert(net, partial(Born, bias=True), at="layer1.1", example=IMAGE)
    refuses(net, "matches no module", at="layer1.1.wholeframe")
    refuses(net, "matches no module", at="*.*.*.out")
    report = insert(net, Born, at="layer1.1.[bc]*", example=IMAGE)
    assert [row.site for row in report.rows] == [f"layer1.1.{name}" for name in ("conv1", "bn1", "conv2", "bn2")]


def test_a_child_of_its_own_called_wholeframe_can_be_a_host():
    model = Holder(Holder(nn.Conv2d(3, 3, 1)))
    model.inner.wholeframe, model.inner.forward = nn.ReLU(), lambda x: model.inner.wholeframe(x)
    assert [row.site for row in insert(model, Born, at="inner.wholeframe", example=IMAGE).rows] == ["inner.wholeframe"]


def test_a_sequential_with_its_own_forward_is_a_host():
    class Doubled(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * self[0](input)

    report = insert(Holder(Doubled(nn.Conv2d(3, 3, 1), nn.ReLU())), Born, at="inner", example=IMAGE)
    assert report.rows[0].site == "inner"


def test_a_sequential_that_ends_in_a_layer_used_twice_resolves_to_that_layer():
    relu = nn.ReLU()
    refuses(Holder(nn.Sequential(relu, nn.Conv2d(3, 3, 1), relu)), "'inner.2' (ReLU) runs 2 times", at="inner")


def test_a_shared_module_with_two_names_gets_one_block():
    model = Holder(nn.Conv2d(3, 3, 1))
    model.alias = model.inner
    report = insert(model, Born, at=["alias", "inner"], example=IMAGE)
    assert [row.site for row in report.rows] == ["inner"]
    assert [site.name for site in sites(model, IMAGE)] == ["inner"]
    assert remove(model, at="alias") == ["alias"]
    assert not model.inner._forward_hooks


def test_device_dtype_and_training_flag_are_those_of_the_host(net: Net):
    net.double().train()
    net.layer1.eval()
    insert(net, Born, at=["layer1.0", "layer2.0", "neck"], example=IMAGE.double())  # neck ends in Dropout: no weights
    blocks = [net.layer1[0].wholeframe, net.layer2[0].wholeframe, net.neck[1][1].wholeframe]
    assert [block.out.weight.dtype for block in blocks] == [torch.float64] * 3
    assert [block.training for block in blocks] == [False, True, True]
    assert [block.out.training for block in blocks] == [False, True, True]


@pytest.mark.parametrize("example", [None, (2, 3, 16, 16)])
def test_without_values_shapes_are_checked_and_nothing_is_claimed(example):
    with FakeTensorMode():
        net = Net()
        image = None if example is None else torch.empty(example)
        report = insert(net, Born, at="layer1.*", example=image)
        with pytest.raises(ValueError, match="the model no longer runs with the blocks in place"):
            insert(net, lambda channels: nn.Conv2d(channels, 7, 1), at="layer2.0", example=image)
    assert [row.parameters for row in report.rows] == [16, 16] and not report.unchanged
    assert str(report).endswith("output unchanged: not known (these tensors have no values)")


@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
def test_probe_leaves_no_trace(net: Net, mode: str):
    net.train(mode != "eval")
    if mode == "mixed":
        net.layer1[0].bn1.eval()
        net.neck[1].eval()
    flags = {name: module.training for name, module in net.named_modules()}
    state = {key: value.clone() for key, value in net.state_dict().items()}
    torch.manual_seed(7)
    sites(net, IMAGE)
    insert(net, Born, at="layer1.*", example=IMAGE)
    drawn = torch.get_rng_state()
    torch.manual_seed(7)
    [Born(4) for _ in range(2)]
    assert torch.equal(drawn, torch.get_rng_state())  # only the blocks themselves drew random numbers
    assert {name: net.get_submodule(name).training for name in flags} == flags
    assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_probe_does_not_call_train(net: Net):
    def wake(mode: bool = True):
        raise AssertionError("a frozen part was woken")

    net.layer1.train = wake
    net.train = wake
    insert(net, Born, at="layer1.0", example=IMAGE)


def test_the_example_is_not_changed_by_a_model_that_works_in_place():
    image = IMAGE.clone()
    model = Single(lambda inner, x: inner(x.mul_(2)))
    assert insert(model, Born, at="inner", example=image).unchanged
    assert torch.equal(image, IMAGE)


def test_random_hosts_compare_equal():
    model = Single(lambda inner, x: inner(x + torch.rand_like(x)))
    state = torch.get_rng_state()
    assert insert(model, lambda _: Born(3), at="inner", example=IMAGE).unchanged
    assert not torch.equal(torch.get_rng_state(), state)  # Born's own Linear drew
    state = torch.get_rng_state()
    sites(model, IMAGE)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model = Single(lambda inner, x: inner(x + torch.rand_like(x))).cuda()
    state = torch.cuda.get_rng_state()
    report = insert(model, Born, at="inner")
    assert report.unchanged and model.inner.wholeframe.out.weight.is_cuda
    assert torch.equal(torch.cuda.get_rng_state(), state)  # Born draws on the CPU


def test_nan_in_the_output_is_no_change():
    model = Single(lambda inner, x: inner(x) / 0 * torch.tensor([float("nan"), 1.0, 0.0]).view(3, 1, 1))
    assert insert(model, Born, at="inner", example=IMAGE).unchanged


# --- examples --------------------------------------------------------------------------------------------------------


def test_default_example_is_an_image(net: Net):
    shapes = []
    handle = net.register_forward_pre_hook(lambda _module, args: shapes.append((args[0].shape, args[0].dtype)))
    report = insert(net.double(), Born, at="stem")
    assert report.rows[0].grid == (224, 224)
    assert set(shapes) == {((1, 3, 224, 224), torch.float64)}
    handle.remove()


def test_default_example_without_weights():
    assert [site.channels for site in sites(Holder(nn.MaxPool2d(2)))] == [3]


@pytest.mark.parametrize(
    "example",
    [IMAGE, (IMAGE,), (IMAGE, 2.0), {"x": IMAGE}, {"x": IMAGE, "factor": 3.0}],
    ids=["tensor", "tuple", "two", "dict", "two by name"],
)
def test_examples(example):
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor, factor: float = 1.0) -> dict:
            return {"map": [self.conv(x) * factor], "note": "not a tensor"}

    assert insert(Scaled(), Born, at="conv", example=example).rows[0].grid == (16, 16)


@pytest.mark.parametrize("grid", [(9,), (5, 7), (2, 3, 4)])
def test_any_rank(grid: tuple[int, ...]):
    conv = [nn.Conv1d, nn.Conv2d, nn.Conv3d][len(grid) - 1](2, 6, 1)
    model = nn.ModuleDict({"conv": conv})
    model.forward = lambda x: model["conv"](x)
    report = insert(model, Born, at="conv", example=torch.randn(2, 2, *grid))
    assert (report.rows[0].channels, report.rows[0].grid) == (6, grid)


def test_a_detector():
    torch.manual_seed(0)
    small = {"min_size": 64, "max_size": 64, "rpn_post_nms_top_n_test": 20}
    sure = {"box_score_thresh": 0.0, "box_detections_per_img": 5}  # a network without training still detects something
    build = torchvision.models.detection.maskrcnn_resnet50_fpn
    model = build(weights=None, weights_backbone=None, **small, **sure).eval()
    image = torch.rand(3, 64, 64)
    before = give(model, [image])[0]
    assert len(before["scores"]) == 5  # something to compare
    report = insert(model, Born, at="backbone.body.layer[12].*.bn3", example=([image],))
    assert len(report.rows) == 7 and report.unchanged
    after = give(model, [image])[0]
    assert all(torch.equal(before[key], after[key]) for key in before)
    refuses(model, "(Conv2d) runs 5 times", at="rpn.head.cls_logits", example=([image],))
    refuses(model, "gives a tuple of 2", at="rpn.head", example=([image],))
    refuses(model, "gives a OrderedDict of 5", at="backbone", example=([image],))
    assert len(remove(model, at="backbone.body.layer1.*.bn3")) == 3


# --- the report ------------------------------------------------------------------------------------------------------


def test_report_prints_as_a_table(net: Net):
    report = insert(net, Born, at=["stem", "layer2.*", "neck.0"], example=IMAGE)
    assert str(report).splitlines() == [
        "site      block  channels  grid     new parameters",
        "stem      Born   4         16 x 16  16",
        "layer2.0  Born   4         16 x 16  16",
        "layer2.1  Born   4         16 x 16  16",
        "neck.0    Born   6         16 x 16  36",
        "4 blocks, 84 new parameters, output unchanged: yes",
    ]
    assert (report.unchanged, report.deviation) == (True, 0.0)
    with pytest.raises(FrozenInstanceError):
        report.unchanged = False


def test_report_of_a_block_that_is_no_identity():
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
    assert "1 block, 1,440,000 new parameters" in str(insert(model, Born, at="inner", example=IMAGE))


# --- refusals --------------------------------------------------------------------------------------------------------


def test_refuses_a_pattern_without_match_even_beside_one_that_matches(net: Net):
    refuses(net, "at='layer3.*' matches no module", "'layer2.1'", "wf.sites(model)", at=["layer1.*", "layer3.*"])
    refuses(net, "at='layer1.0.bn3' matches no module", "'layer1.0.bn2'", at="layer1.0.bn3")
    refuses(net, "at='zzzzzz' matches no module; `wf.sites(model)`", at="zzzzzz")
    refuses(net, "at=[] names no place", at=[])
    refuses(net, "matches no module", at="")


def test_refuses_a_second_block(net: Net):
    insert(net, Born, at="layer1.1", example=IMAGE)
    words = ["'layer1.1' already has a block, Born", "wf.remove(model"]
    message = refuses(net, *words, at=["layer1", "layer2.0"])
    assert "layer2.0" not in message


def test_refuses_a_host_that_runs_twice_and_names_others(net: Net):
    words = [
        "'layer1.0.relu' (ReLU) runs 2 times",
        "near it 'layer1.0', 'layer1.0.conv2', 'layer1.0.bn1', 'layer1.0.bn2' would do",
    ]
    refuses(net, *words, at="layer1.0.relu")


def test_refusals_name_every_host(net: Net):
    refuses(net, "'layer1.0.relu'", "'layer1.1.relu'", at=["layer1.*.relu", "stem"])


def test_refuses_a_host_that_never_runs(net: Net):
    refuses(net, "'unused' (Conv2d) never ran", "eval mode", at="unused")


def test_refuses_an_empty_sequential(net: Net):
    refuses(net, "'empty' is an empty nn.Sequential", at="empty")


def test_refuses_an_output_without_grid(net: Net):
    refuses(net, "'fc' gives a tensor (2, 5) of torch.float32, which has no grid", "(b, c, *grid)", at="fc")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda x: (x, x), "gives a tuple of 2"),
        (lambda x: {"x": x}, "gives a dict of 1"),
        (lambda x: None, "gives a NoneType"),
        (lambda x: x.long(), "gives a tensor (2, 3, 16, 16) of torch.int64, and a block takes floating point"),
    ],
    ids=["tuple", "dict", "none", "integers"],
)
def test_refuses_an_output_that_is_no_map(output, words: str):
    refuses(Holder(Returns(output)), "'inner'", words)


def test_refuses_a_host_with_the_name_taken():
    model = Holder(nn.Conv2d(3, 3, 1))
    model.inner.wholeframe = "mine"
    refuses(model, "'inner' has an attribute 'wholeframe' of its own")


def test_refuses_a_host_that_was_replaced_after_an_insert(net: Net):
    insert(net, Born, at="layer1.0.bn2", example=IMAGE)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    refuses(
        net, "'layer1.0.bn2' has a child 'wholeframe' that no hook runs", "convert_sync_batchnorm", at="layer1.0.bn2"
    )


def test_refuses_a_block_that_is_no_builder(net: Net):
    words = ["block is a Born", "functools.partial(Born, ...)"]
    refuses(net, *words, error=TypeError, block=Born(4), at="layer1.0")
    refuses(net, "block is a str", error=TypeError, block="born", at="layer1.0")
    refuses(net, "block(4) gives a NoneType", error=TypeError, block=lambda channels: None, at="layer1.0")


def test_refuses_when_a_constructor_raises(net: Net):
    def grouped(channels: int) -> nn.Module:
        if channels == 6:
            raise ValueError("groups=4 does not divide channels=6")
        return Born(channels)

    words = ["groups=4 does not divide channels=6", "building the block for 'neck.0' with 6 channels"]
    refuses(net, *words, block=grouped, at=["layer1.0", "neck.0"])


def test_refuses_a_liar(net: Net):
    words = ["Liar at 'layer1.0' says identity_at_init", "max |difference| 0.25", "the model is unchanged"]
    refuses(net, *words, block=Liar, at=["layer1.0", "layer2.0"])


def test_refuses_a_liar_whose_lie_the_output_hides():
    refuses(Single(lambda inner, x: inner(x) * 0), "Liar at 'inner' says identity_at_init", block=Liar)


def test_refuses_an_identity_that_changes_the_output_in_place():
    class Sly(nn.Module):
        identity_at_init = True

        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x.add_(0.5)

    refuses(Single(lambda inner, x: inner(x)), "the model's output changed (max |difference| 0.5)", block=Sly)


def test_refuses_to_prove_anything_about_a_model_that_does_not_repeat_itself():
    counter = iter(range(100))
    model = Single(lambda inner, x: inner(x) + next(counter))
    refuses(model, "different outputs for the same input and seed", "deterministic")


def test_refuses_a_container_that_runs_its_children():
    inner = Chain(nn.Conv2d(3, 3, 1), nn.ReLU())
    refuses(Holder(inner), "Born at 'inner' ran 2 times", "(Chain)", "insert at its last child, 'inner.step1'")
    assert insert(Holder(inner), Born, at="inner.step1", example=IMAGE).unchanged


def test_refuses_a_container_whose_children_do_not_take_maps():
    model = torchvision.models.DenseNet(4, (2,), 8)  # its _DenseBlock hands every child a list of maps
    words = [
        "no longer runs with the blocks in place",
        "If 'features.denseblock1' (_DenseBlock) runs whatever children",
    ]
    refuses(
        model, *words, "'features.denseblock1.denselayer2'", at="features.denseblock1", example=torch.rand(1, 3, 32, 32)
    )


def test_refuses_one_block_for_two_hosts(net: Net):
    one = Born(4)
    refuses(net, "the very same Born for several sites", block=lambda channels: one, at="layer1.*")


@pytest.mark.parametrize("give_back", [lambda x: x[..., ::2], lambda x: x.double(), lambda x: (x, x)])
def test_refuses_a_block_that_changes_shape_or_kind(give_back):
    class Odd(Returns):
        def __init__(self, channels: int) -> None:
            super().__init__(give_back)

    model = Single(lambda inner, x: (inner(x), 0)[1] * x)
    refuses(model, "Odd at 'inner' is given a tensor (2, 3, 16, 16) of torch.float32 and gives", block=Odd)


def test_refuses_a_block_that_fails(net: Net):
    refuses(net, "no longer runs", "RuntimeError", block=lambda channels: Born(channels + 1), at="layer1.0")


def test_refuses_compiled_models(net: Net):
    compiled = torch.compile(net, backend="eager")
    for act in (partial(insert, block=Born, at="layer1.0", example=IMAGE), remove, sites):
        with pytest.raises(ValueError, match=r"the model is compiled, .* insert and remove blocks first"):
            act(compiled)
    net.layer1[0].compile(backend="eager")
    with pytest.raises(ValueError, match=r"'layer1.0' in the model is compiled"):
        insert(net, Born, at="layer2.0", example=IMAGE)


def test_an_example_that_does_not_fit(net: Net):
    net.stem = nn.Conv2d(5, 4, 1)
    before = snapshot(net)
    with pytest.raises(ValueError, match=r"does not run on the default image.* \(1, 3, 224, 224\)") as caught:
        insert(net, Born, at="layer1.0")
    assert "example=([image],)" in str(caught.value) and "expected input" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ValueError, match="default image"):
        sites(net)
    assert_same(net, before)
    refuses(net, "does not run on the given example=", "RuntimeError", at="layer1.0", example=IMAGE)
    refuses(net, "example= is a list", "example=([image],)", at="layer1.0", example=[IMAGE])


# --- remove ----------------------------------------------------------------------------------------------------------


def test_remove_all_gives_the_old_model(net: Net):
    before, output = snapshot(net), give(net, IMAGE)
    insert(net, Plus, at=["layer1.*", "neck", "layer1.0.bn2"], example=IMAGE)
    assert not torch.equal(give(net, IMAGE), output)
    assert remove(net) == ["layer1.0", "layer1.0.bn2", "layer1.1", "neck.1.1"]
    assert_same(net, before)
    assert torch.equal(give(net, IMAGE), output)


def test_remove_some(net: Net):
    insert(net, Born, at=["layer[12].*", "neck"], example=IMAGE)
    assert remove(net, at="layer2") == ["layer2.1"]
    assert remove(net, at=["layer2.*", "layer1.0"]) == ["layer1.0", "layer2.0"]
    assert remove(net) == ["layer1.1", "neck.1.1"]


def test_remove_keeps_other_hooks(net: Net):
    runs = []
    net.layer1[0].register_forward_hook(lambda *_: runs.append(1))
    insert(net, Born, at="layer1.0", example=IMAGE)
    net.layer1[0].register_forward_hook(lambda *_: runs.append(2))
    remove(net)
    runs.clear()
    give(net, IMAGE)
    assert runs == [1, 2]


def test_remove_refuses(net: Net):
    with pytest.raises(ValueError, match="the model has no blocks to remove"):
        remove(net)
    insert(net, Born, at="layer1.*", example=IMAGE)
    before = snapshot(net)
    for at in ("layer2.*", "nothing", ["layer1.0", "layer3"]):
        with pytest.raises(ValueError, match=r"matches no block; there are blocks at 'layer1.0', 'layer1.1'"):
            remove(net, at=at)
        assert_same(net, before)


def test_insert_after_remove(net: Net):
    insert(net, Born, at="layer1.0", example=IMAGE)
    remove(net)
    assert insert(net, Born, at="layer1.0", example=IMAGE).unchanged


# --- sites -----------------------------------------------------------------------------------------------------------


def test_sites_lists_what_insert_accepts(net: Net):
    insert(net, Born, at="layer1.0", example=IMAGE)
    found = {site.name: site for site in sites(net, IMAGE)}
    inside = [
        f"layer{i}.{j}{part}" for i in (1, 2) for j in (0, 1) for part in ("", ".conv1", ".bn1", ".conv2", ".bn2")
    ]
    assert list(found) == ["stem", *inside, "neck.0", "neck.1.0", "neck.1.1"]
    assert str(found["layer1.0"]) == "layer1.0 (Residual): 4 channels on 16 x 16, has Born"
    assert str(found["neck.0"]) == "neck.0 (Conv2d): 6 channels on 16 x 16"
    assert (found["neck.0"].calls, found["neck.0"].block, found["layer1.0"].block) == (1, None, "Born")
    free = [site.name for site in found.values() if site.block is None]
    assert [row.site for row in insert(net, Born, at=free, example=IMAGE).rows] == free


# --- what the finished model can do ----------------------------------------------------------------------------------

HOSTS = {  # no blocks with 2048 channels: their weights are what takes time here
    "torchvision resnet18": (
        partial(torchvision.models.resnet18, weights=None),
        ["layer2.1", "layer3", "layer4.*.bn2"],
    ),
    "torchvision resnet50": (
        partial(torchvision.models.resnet50, weights=None),
        ["layer1.0", "layer2", "layer2.[13].bn3"],
    ),
    "timm resnet50": (partial(timm.create_model, "resnet50"), ["layer1.0", "layer2", "layer2.[13].bn3"]),
    "timm convnext_atto": (partial(timm.create_model, "convnext_atto"), ["stem.1", "stages.3", "stages.2.blocks.*"]),
}
PHOTO = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module", params=HOSTS)
def grafted(request) -> SimpleNamespace:
    """A real host with blocks, in eval mode, and all that is worth knowing of it before the blocks came."""
    build, at = HOSTS[request.param]
    torch.manual_seed(0)
    model = build().eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    output = give(model, PHOTO)
    model.train()
    model.get_submodule(at[0]).eval()
    flags = {name: module.training for name, module in model.named_modules()}
    report = insert(model, Born, at=at, example=PHOTO)
    kept = {name: model.get_submodule(name).training for name in flags} == flags
    return SimpleNamespace(model=model.eval(), state=state, output=output, report=report, flags_kept=kept)


def assert_repeats(model, grafted: SimpleNamespace) -> None:
    with torch.no_grad():
        assert torch.equal(model(PHOTO), grafted.output)


def test_real_host_is_bit_equal_at_birth(grafted: SimpleNamespace):
    assert grafted.report.unchanged and len(grafted.report.rows) >= 4
    assert_repeats(grafted.model, grafted)


def test_real_host_keeps_keys_statistics_and_flags(grafted: SimpleNamespace):
    new = grafted.model.state_dict()
    assert [key for key in new if ".wholeframe." not in key] == list(grafted.state)
    assert all(torch.equal(new[key], value) for key, value in grafted.state.items())
    assert grafted.flags_kept


def test_real_host_takes_pretrained_weights(grafted: SimpleNamespace):
    result = copy.deepcopy(grafted.model).load_state_dict(grafted.state, strict=False)
    assert sorted(result.missing_keys) == sorted(grafted.report.parameter_names)
    assert not result.unexpected_keys


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_real_host_can_be_copied(grafted: SimpleNamespace, clone):
    twin = clone(grafted.model)
    assert_repeats(twin, grafted)
    first = twin.get_submodule(grafted.report.rows[0].site)
    with torch.no_grad():
        first.wholeframe.out.weight.fill_(0.1)
    assert not torch.equal(give(twin, PHOTO), grafted.output)  # the twin's own block runs
    assert_repeats(grafted.model, grafted)
    assert remove(twin) == [row.site for row in grafted.report.rows]
    assert list(twin.state_dict()) == list(grafted.state)
    assert not any(module._forward_hooks for module in twin.modules())
    assert all(has_block(grafted.model.get_submodule(row.site)) for row in grafted.report.rows)


def test_real_host_can_be_exported(grafted: SimpleNamespace):
    exported = torch.export.export(grafted.model, (PHOTO,))
    assert set(grafted.report.parameter_names) <= set(exported.state_dict)
    assert_repeats(exported.module(), grafted)


def test_fx_traces_through_blocks(net: Net):
    insert(net.eval(), Born, at=["layer1.0", "layer2.*.bn2"], example=IMAGE)
    nn.init.normal_(net.layer1[0].wholeframe.out.weight)
    traced = torch.fx.symbolic_trace(net)
    assert torch.equal(traced(IMAGE), net(IMAGE))


def test_an_unpickled_hook_is_not_replaced_by_the_next_one(net: Net, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RemovableHandle, "next_id", 0)
    insert(net, Plus, at="layer1.0", example=IMAGE)
    output, stored = give(net, IMAGE), pickle.dumps(net)
    del net
    monkeypatch.setattr(RemovableHandle, "next_id", 0)  # a new process counts hooks from 0
    loaded = pickle.loads(stored)
    for _ in range(200):
        loaded.layer1[0].register_forward_hook(lambda *_: None).remove()
    assert has_block(loaded.layer1[0])
    assert torch.equal(give(loaded, IMAGE), output)
    assert remove(loaded) == ["layer1.0"]


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["torchvision resnet18", "timm convnext_atto"])
def test_real_host_compiles_in_one_graph(name: str):
    build, at = HOSTS[name]
    torch.manual_seed(0)
    model = build().eval()
    output = give(model, PHOTO)
    insert(model, Born, at=at, example=PHOTO)
    torch.compiler.reset()
    with torch.no_grad():
        assert torch.equal(torch.compile(model, fullgraph=True, backend="aot_eager")(PHOTO), output)
