"""The probe: examples of every kind, and no trace in the model."""

import pytest
import torch
from surgery_models import IMAGE, Net, Same, Single, assert_same, refuses, snapshot
from torch import Tensor, nn

from wholeframe.surgery.insert import insert
from wholeframe.surgery.sites import sites


@pytest.mark.slow_beyond(1)
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
    insert(net, Same, at="layer1.*", example=IMAGE)
    drawn = torch.get_rng_state()
    torch.manual_seed(7)
    [Same(4) for _ in range(2)]
    assert torch.equal(drawn, torch.get_rng_state())  # only the blocks themselves drew random numbers
    assert {name: net.get_submodule(name).training for name in flags} == flags
    assert all(torch.equal(net.state_dict()[key], value) for key, value in state.items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_probe_does_not_call_train(net: Net):
    def wake(mode: bool = True):
        raise AssertionError("a frozen part was woken")

    net.layer1.train = wake
    net.train = wake
    insert(net, Same, at="layer1.0", example=IMAGE)


def test_the_example_is_not_changed_by_a_model_that_works_in_place():
    image = IMAGE.clone()
    model = Single(lambda inner, x: inner(x.mul_(2)))
    assert insert(model, Same, at="inner", example=image).unchanged
    assert torch.equal(image, IMAGE)


def test_random_models_compare_equal():
    model = Single(lambda inner, x: inner(x + torch.rand_like(x)))
    state = torch.get_rng_state()
    assert insert(model, lambda _: Same(3), at="inner", example=IMAGE).unchanged
    assert not torch.equal(torch.get_rng_state(), state)  # Same's own Linear drew
    state = torch.get_rng_state()
    sites(model, IMAGE)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model = Single(lambda inner, x: inner(x + torch.rand_like(x))).cuda()
    state = torch.cuda.get_rng_state()
    report = insert(model, Same, at="inner")
    assert report.unchanged and model.inner.wholeframe.out.weight.is_cuda
    assert torch.equal(torch.cuda.get_rng_state(), state)  # Same draws on the CPU


def test_default_example_is_an_image(net: Net):
    shapes = []
    handle = net.register_forward_pre_hook(lambda _module, args: shapes.append((args[0].shape, args[0].dtype)))
    report = insert(net.double(), Same, at="stem")
    assert report.rows[0].grid == (224, 224)
    assert set(shapes) == {((1, 3, 224, 224), torch.float64)}
    handle.remove()


@pytest.mark.slow_beyond(1)
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

    assert insert(Scaled(), Same, at="conv", example=example).rows[0].grid == (16, 16)


def test_an_example_that_does_not_fit(net: Net):
    net.stem = nn.Conv2d(5, 4, 1)
    before = snapshot(net)
    with pytest.raises(ValueError, match=r"does not run on the default image.* \(1, 3, 224, 224\)") as caught:
        insert(net, Same, at="layer1.0")
    assert "example=([image],)" in str(caught.value) and "expected input" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ValueError, match="default image"):
        sites(net)
    assert_same(net, before)
    refuses(net, "does not run on the given example=", "RuntimeError", at="layer1.0", example=IMAGE)
    refuses(net, "example= is a list", "example=([image],)", at="layer1.0", example=[IMAGE])


class Remembers(nn.Module):
    """Counts its calls, and keeps the size of the first map that it sees, as some poolings do."""

    def __init__(self):
        super().__init__()
        self.size, self.calls = None, 0

    def forward(self, x):
        self.calls += 1
        self.size = self.size or tuple(x.shape[-2:])
        self.made_in_forward = True
        return x


def test_attributes_that_a_forward_sets_are_those_from_before():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), Remembers())
    insert(net, Same, at="0", example=torch.rand(1, 3, 5, 7))
    assert net[1].size is None and net[1].calls == 0 and not hasattr(net[1], "made_in_forward")
    net(torch.rand(1, 3, 9, 9))
    insert(net, Same, at="1", example=torch.rand(1, 3, 5, 7))
    assert net[1].size == (9, 9) and net[1].calls == 1 and net[1].made_in_forward


def test_a_lazy_module_keeps_what_it_has_become():
    net = nn.Sequential(nn.LazyConv2d(4, 1), nn.Conv2d(4, 2, 1))
    insert(net, Same, at="1", example=torch.rand(1, 3, 5, 7))
    assert type(net[0]) is nn.Conv2d and net[0].in_channels == 3 and net(torch.rand(2, 3, 4, 4)).shape[1] == 2
