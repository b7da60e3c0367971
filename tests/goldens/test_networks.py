"""Pieces of the references' networks, with our block inserted where theirs stood: the same numbers in float64."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import Bottleneck

import wholeframe as wf
from wholeframe.convert.rename import load

HERE = Path(__file__).parent
STAGES = sorted(path.stem for path in HERE.glob("nonlocal/slowfast_resstage*.safetensors"))


def part(golden, *prefixes):
    return {key.removeprefix(p): tensor for key, tensor in golden.items() for p in prefixes if key.startswith(p)}


def constructor(path):
    with safe_open(path, "pt") as file:
        written = file.metadata()
    return json.loads(written.get("constructor_args") or written["constructor"])


def check(network, golden, theirs, reference, tolerance=1e-10):
    """Outputs and every gradient; `theirs` is where the reference keeps its block, `reference` names it."""
    x = golden["input"].requires_grad_()
    y = network(x)
    torch.testing.assert_close(y, golden["output"], rtol=tolerance, atol=tolerance)
    y.backward(golden["grad_output"])
    torch.testing.assert_close(x.grad, golden["grad_input"], rtol=tolerance, atol=tolerance)
    ours = {name: parameter.grad for name, parameter in network.named_parameters()}
    inserted = next(name.partition("wholeframe.")[0] for name in ours if "wholeframe." in name) + "wholeframe."
    expected = {}
    for name, gradient in part(golden, "grad.").items():
        inside = name.startswith(theirs)
        rename = wf.convert.SOURCES[reference].rename
        expected[inserted + rename(name.removeprefix(theirs)) if inside else name] = gradient
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            ours[name], gradient.reshape(ours[name].shape), rtol=tolerance, atol=tolerance, msg=name
        )


def put(network, golden, theirs, reference, arguments, at):
    """Load the host's tensors under their own names, insert a fresh block, and give it those of the reference's."""
    state = part(golden, "param.", "buffer.")
    network.load_state_dict({key: tensor for key, tensor in state.items() if not key.startswith(theirs)})
    block = wf.convert.block(reference, arguments).double().eval()
    wf.insert(network, lambda channels: block, at=at, example=golden["input"])
    load(block, wf.convert.SOURCES[reference], part(state, theirs))


# ------------------------------------------------------------------------------------------- GCNet: before the sum


def test_a_residual_block_of_gcnet():
    """Its context block stands on bn3, before the residual sum and the ReLU."""
    path = HERE / "gcnet/gcnet_bottleneck_after1x1.safetensors"
    golden, arguments = load_file(path), constructor(path)
    host = Bottleneck(arguments["inplanes"], arguments["planes"], arguments["stride"]).double().eval()
    context = {"inplanes": 4 * arguments["planes"], **arguments["gcb"]}
    put(host, golden, "context_block.", "gcnet.ContextBlock", context, at="bn3")
    check(host, golden, "context_block.", "gcnet.ContextBlock")


# ------------------------------------------------------------------ SlowFast: after a block, in groups of frames


class Residual(nn.Module):
    """`ResBlock` with `BottleneckTransform`: 1x1 over some frames, 3x3 with the stride, 1x1."""

    def __init__(self, before, inner, after, frames, stride):
        super().__init__()
        if (before, stride) != (after, 1):
            self.branch1 = nn.Conv3d(before, after, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(after)
        self.branch2 = nn.Module()
        self.branch2.a = nn.Conv3d(before, inner, (frames, 1, 1), padding=(frames // 2, 0, 0), bias=False)
        self.branch2.b = nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.branch2.c = nn.Conv3d(inner, after, 1, bias=False)
        self.branch2.a_bn, self.branch2.b_bn, self.branch2.c_bn = map(nn.BatchNorm3d, (inner, inner, after))

    def forward(self, x):
        two = self.branch2
        y = F.relu(two.a_bn(two.a(x)))
        y = two.c_bn(two.c(F.relu(two.b_bn(two.b(y)))))
        return F.relu(y + (self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x))


def stage(arguments):
    (before,), (after,), (stride,) = (arguments[name] for name in ("dim_in", "dim_out", "stride"))
    (inner,), (frames,) = arguments["dim_inner"], arguments["temp_kernel_sizes"]
    network = nn.Sequential()
    for index, kernel in enumerate(frames):
        sizes = (before, inner, after, kernel, stride) if index == 0 else (after, inner, after, kernel, 1)
        network.add_module(f"pathway0_res{index}", Residual(*sizes))
    return network.double().eval()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_of_slowfast(name):
    """`nonlocal_group` is a number of groups; its block stands after the ReLU of the second residual block."""
    path = HERE / f"nonlocal/{name}.safetensors"
    golden, arguments = load_file(path), constructor(path)
    network = stage(arguments)
    non_local = {
        "dim": arguments["dim_out"][0],
        "dim_inner": arguments["dim_out"][0] // 2,
        "pool_size": arguments["nonlocal_pool"][0],
        "instantiation": arguments["instantiation"],
        "nonlocal_group": arguments["nonlocal_group"][0],
    }
    put(network, golden, "pathway0_nonlocal1.", "slowfast.Nonlocal", non_local, at="pathway0_res1")
    check(network, golden, "pathway0_nonlocal1.", "slowfast.Nonlocal")


def test_the_goldens_tell_groups_apart():
    assert {name.split("_")[-2] for name in STAGES} == {"group1", "group2"}
