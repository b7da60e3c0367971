"""A whole file from end to end, with a source of its own: a small network and a block, under other names."""

from typing import Literal

import pytest
import torch

import wholeframe as wf
from wholeframe import convert
from wholeframe.blocks import GlobalContext, NonLocal
from wholeframe.convert import converted
from wholeframe.convert.plan import Plan
from wholeframe.convert.whole import WholeSource
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild

ORIGIN = Origin("wholeframe", "small", {"num_classes": 3})


def plan_of(shapes, *, order: Literal["upper", "lower"], scale="none", **changed):
    """Their network has the prefix `net.` and our block as `net.nl.`."""
    channels = shapes["nl.out.weight"][0]
    values = {
        "origin": ORIGIN,
        "blocks": {"stage3.5": NonLocal(channels, scale=None if scale == "none" else scale)},
        "names": {"nl.": "stage3.5.wholeframe.", "net.": ""},
        "conventions": {"order": order},
        "left": {"rpn.": "a head for detection"},
    }
    return Plan(**values | changed)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a content to a file, with this source as the only one; `changed` are arguments of its plan."""

    def write(content, **changed):
        def plan(shapes, *, order: Literal["upper", "lower"], scale="none"):
            return plan_of(shapes, order=order, scale=scale, **changed)

        source = WholeSource("someone/repository@1", "MIT", (r"^nl\.out\.weight$",), plan)
        monkeypatch.setattr(converted, "WHOLE", {"theirs": source})
        torch.save(content, tmp_path / "file.pth")
        return tmp_path / "file.pth"

    return write


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = rebuild(ORIGIN)
    wf.insert(network, lambda channels: NonLocal(channels, init="random"), "stage3", example=torch.randn(2, 3, 32, 32))
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def theirs(network):
    """The state dict of the network under their names."""
    return {
        name.replace("stage3.5.wholeframe.", "nl.") if "wholeframe" in name else f"net.{name}": tensor.clone()
        for name, tensor in network.state_dict().items()
    }


X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_every_tensor_is_used_or_named(file, network, theirs):
    content = {"epoch": 3, "state_dict": {**theirs, "rpn.weight": torch.ones(2)}}
    found = convert.checkpoint(file(content), order="upper")
    assert torch.equal(found.network(X), network(X))
    assert found.report.left == {"rpn.weight": "a head for detection"}
    assert set(found.report.loaded.values()) == theirs.keys() and not found.report.new
    assert (found.source, found.licence) == ("theirs", "MIT")
    assert "left: 1 tensor ('rpn.weight'): a head for detection\nassumed: order: upper" in str(found)
    assert str(found).startswith("source: theirs (someone/repository@1, MIT), weights: its 'state_dict'\n")


def test_the_network_is_ready_to_be_saved_trained_and_read(file, theirs):
    found = convert.checkpoint(file(theirs), order="upper")
    assert origin_of(found.network) == ORIGIN and not found.network.training
    assert [(block.site, block.block) for block in wf.blocks_of(found.network)] == [("stage3.5", "NonLocal")]
    assert found.blocks == {"stage3.5": found.network.stage3[5].wholeframe}
    assert all(p.requires_grad and not p.is_meta for p in found.network.parameters())


@pytest.mark.parametrize("prefix", ["module.", "module.model."])
def test_wrappers_and_moving_averages(file, network, theirs, prefix):
    average = {f"{prefix}{name}": tensor for name, tensor in theirs.items()}
    other = {name: torch.zeros_like(tensor) for name, tensor in theirs.items()}
    found = convert.checkpoint(file({"state_dict": other, "state_dict_ema": average}), order="upper")
    assert torch.equal(found.network(X), network(X))
    assert found.read == f"its 'state_dict_ema', not 'state_dict', without the prefix '{prefix}'"


def test_steps_of_batch_norms_may_be_absent(file, network, theirs):
    kept = {name: tensor for name, tensor in theirs.items() if "num_batches" not in name}
    assert len(kept) < len(theirs)
    found = convert.checkpoint(file(kept), order="upper")
    assert torch.equal(found.network(X), network(X))
    found.network.train()(X)


def test_dtypes_stay(file, theirs):
    halves = {name: t.half() if t.is_floating_point() else t for name, t in theirs.items()}
    found = convert.checkpoint(file(halves), order="upper")
    assert {t.dtype for t in found.network.state_dict().values()} == {torch.half, torch.long}


def test_two_weights_of_one_memory_become_two(file, theirs):
    first, second = (name for name, t in theirs.items() if name.endswith(("phi.bias", "theta.bias")))
    both = torch.ones(2, theirs[first].numel())
    theirs[first], theirs[second] = both[0], both[1]
    found = convert.checkpoint(file(theirs), order="upper")
    block = found.blocks["stage3.5"]
    with torch.no_grad():
        block.theta.bias.zero_()
    assert block.phi.bias.min() == 1
    assert block.phi.bias.untyped_storage().nbytes() == block.phi.bias.nbytes


def test_what_a_plan_calls_new_is_drawn_as_the_backbone_draws_it(file, theirs):
    head = [name for name in theirs if name.startswith("net.head")]
    rest = {name: tensor for name, tensor in theirs.items() if name not in head}
    assert head
    found = convert.checkpoint(file(rest, new={"head": "the file has no classifier"}), order="upper")
    assert found.report.new == {name.removeprefix("net."): "the file has no classifier" for name in head}
    assert "new, untrained: 4 tensors ('head.0.weight'" in str(found)
    drawn, bound = found.network.head[0].weight, 48**-0.5  # torch's own initialisation of this convolution
    assert 0.9 * bound < drawn.abs().max() <= bound and torch.equal(
        found.network.stage1[0].weight, theirs["net.stage1.0.weight"]
    )


def test_values_are_changed_and_blocks_without_a_site_are_given_apart(file, theirs):
    context = GlobalContext(8)
    content = theirs | {f"decode.gc.{name}": tensor for name, tensor in context.state_dict().items()}
    path = file(
        content,
        apart={"decode": GlobalContext(8)},
        names={"decode.gc.": "decode.wholeframe.", "nl.": "stage3.5.wholeframe.", "net.": ""},
        change=lambda name, tensor: -tensor if name == "stage3.5.wholeframe.g.weight" else tensor,
    )
    found = convert.checkpoint(path, order="upper")
    assert set(found.blocks) == {"stage3.5", "decode"}
    y = torch.randn(2, 8, 3, 3)
    assert torch.equal(found.blocks["decode"](y), context.eval()(y))
    assert torch.equal(found.blocks["stage3.5"].g.weight, -theirs["nl.g.weight"])


def test_blocks_alone(file):
    block = NonLocal(8)
    state = {f"nl.{name}": tensor for name, tensor in block.state_dict().items()}
    path = file(state, origin=None, blocks={}, apart={"nl": NonLocal(8)}, names={"nl.": "nl.wholeframe."})
    found = convert.checkpoint(path, order="upper")
    assert found.network is None and torch.equal(found.blocks["nl"].g.weight, block.g.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"the source 'theirs' needs 'order', which was not given; give one of 'upper', 'lower'$"),
        ({"order": "upper", "scal": 1}, r"the source 'theirs' has no argument 'scal'; did you mean 'scale'\?"),
    ],
)
def test_options_are_refused(file, theirs, options, message):
    with pytest.raises(ValueError, match=message):
        convert.checkpoint(file(theirs), **options)


def test_a_plan_with_a_site_that_is_not_there_is_refused(file, theirs):
    path = file(theirs, blocks={"stage9": NonLocal(8)})
    with pytest.raises(ValueError, match=r"small\(num_classes=3\) has no site 'stage9'; the nearest are stage"):
        convert.checkpoint(path, order="upper")


def test_a_sequence_is_no_site(file, theirs):
    path = file(theirs, blocks={"stage3": NonLocal(48)})  # It would run the block as one of its modules too.
    with pytest.raises(ValueError, match=r"'stage3' is a sequence, which has no block itself; give 'stage3.5'"):
        convert.checkpoint(path, order="upper")


def test_values_that_are_not_finite_are_counted(file, theirs):
    names = [name for name in theirs if name.endswith("theta.weight") or name == "net.stage1.0.weight"]
    theirs[names[0]].view(-1)[:3] = float("nan")
    theirs[names[1]].view(-1)[0] = float("-inf")
    found = convert.checkpoint(file(theirs), order="upper")
    assert found.report.not_finite == {names[0]: 3, names[1]: 1}
    assert f"NaN or infinite: 4 values in 2 tensors of the file ('{names[0]}': 3, '{names[1]}': 1)" in str(found)
    clean = convert.checkpoint(
        file({"rpn.x": torch.tensor([float("nan")])} | {k: t.nan_to_num() for k, t in theirs.items()}), order="upper"
    )
    assert not clean.report.not_finite and "NaN" not in str(clean)


def test_values_of_eight_bits_are_counted_too(file, theirs):
    key = next(name for name in theirs if name.endswith("theta.bias"))
    theirs[key] = torch.full_like(theirs[key], float("nan")).to(torch.float8_e4m3fn)
    assert convert.checkpoint(file(theirs), order="upper").report.not_finite == {key: theirs[key].numel()}


def test_the_name_of_a_file_is_shown_safely(file, theirs):
    path = file({"a": torch.ones(1)})
    evil = path.rename(path.with_name("\x1b[2J.pth"))
    with pytest.raises(ValueError, match="is of none of the sources") as raised:
        convert.checkpoint(evil)
    assert "\x1b" not in str(raised.value)
