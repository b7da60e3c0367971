"""GSoP and fast-MPN-COV in float64: blocks, their gates, whole residual blocks, covariance, root, triangle.

These are not in `test_goldens.py` because half of the references are functions. Details of the references:

- fast-MPN-COV builds its centring matrix in the default dtype, which costs 1.5e-8 if that is float32. These files were
  made with a default of float64, so they are exact.
- The backward pass of fast-MPN-COV's `Sqrtm` returns the transpose of the gradient. The root of a symmetric matrix
  determines its gradient up to an antisymmetric part, on which a covariance does not depend: both are compared
  symmetrised.
- `SqrtmLayer_gsop_it1` records a bug, which is not reproduced.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from wholeframe import convert, ops

HERE = Path(__file__).parent / "gsop"
NAMES = sorted(path.stem for path in HERE.glob("*.safetensors"))
BLOCKS = ("channel_block", "position_block", "Bottleneck", "MPNCOV")
GATES = ("chan_att", "pos_att", "dev_")
ROOTS = tuple(f"SqrtmLayer_{repository}_it" for repository in ("gsop", "fast"))
BUG = "SqrtmLayer_gsop_it1"


def named(*prefixes: str) -> list[str]:
    return [name for name in NAMES if name.startswith(prefixes) and name != BUG]


def metadata(name: str) -> dict[str, str]:
    with safe_open(HERE / f"{name}.safetensors", "pt") as file:
        return file.metadata()


def load(name: str) -> dict[str, torch.Tensor]:
    """The tensors in float64; two large weights are stored in float32, which represents them exactly."""
    return {
        key: t.double() if t.is_floating_point() else t for key, t in load_file(HERE / f"{name}.safetensors").items()
    }


def part(golden: dict[str, torch.Tensor], *prefixes: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(p): tensor for key, tensor in golden.items() for p in prefixes if key.startswith(p)}


def reference(name: str, golden: dict[str, torch.Tensor]) -> tuple[str, dict[str, object]]:
    """The name in `convert.SOURCES`, and the arguments with the values that were patched in the reference."""
    written = metadata(name)
    arguments = json.loads(written["ctor"])
    if name.startswith("MPNCOV"):
        return "mpncov.MPNCOV", arguments
    attention = arguments.pop("attention")
    patched = {key: int(written[key]) for key in ("dr_stride", "sp_h", "sp_w") if key in written}
    if name.startswith("Bottleneck"):
        if attention == "&":  # the rule of the reference gives 0 groups for 4 planes; the file has those of 64
            patched |= {"groups": 4, "conv_kernel_size": 11}
        return f"gsop.Bottleneck{attention}", {**arguments, **patched}
    channel = attention == "1"
    if name.startswith("dev_"):
        # The development file has no argument for the width; its coarse grid is patched to 4 x 4 as well.
        arguments = {"planes": arguments["planes"], "att_dim": 8}
        patched = {"dr_stride": 2} if channel else {"dr_stride": 2, "sp_h": 4, "sp_w": 4}
        return f"gsop.development.Bottleneck.{'chan' if channel else 'spat'}_att", {**arguments, **patched}
    kept = ("dr_stride",) if channel else ("sp_h", "sp_w")
    arguments |= {key: value for key, value in patched.items() if key in kept}
    return f"gsop.Bottleneck.{'chan' if channel else 'pos'}_att", arguments


def close(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    torch.testing.assert_close(
        actual.reshape(expected.shape), expected, rtol=1e-10, atol=1e-10, msg=lambda text: f"{what}: {text}"
    )


@pytest.mark.parametrize("name", named(*BLOCKS, *GATES))
def test_blocks_and_gates(name):
    golden = load(name)
    source, arguments = reference(name, golden)
    block = convert.block(source, arguments, part(golden, "param.", "buffer."))
    block.train(metadata(name)["training"] == "True")

    x = golden["input"].requires_grad_()
    output = block.gates(x) if name.startswith(GATES) else block(x)
    close(output, golden["output"], "output")
    ours, rename = block.state_dict(), convert.SOURCES[source].rename
    for key, expected in part(golden, "buffer_after.").items():
        close(ours[rename(key)], expected, f"{key} after a step")

    output.backward(golden["grad_output"].reshape(output.shape))
    close(x.grad, golden["grad_input"], "the input's gradient")
    gradients = {key: parameter.grad for key, parameter in block.named_parameters()}
    expected = {rename(key): gradient for key, gradient in part(golden, "grad.").items()}
    # The file has no gradients of the two float32 weights of the full 8 x 8 grid, to stay small.
    missing = {"transform.row_conv.weight", "transform.expand.weight"} if name == "pos_att_sp8_eval" else set()
    assert gradients.keys() == expected.keys() | missing
    for key, gradient in expected.items():
        close(gradients[key], gradient, f"the gradient of {key}")


def outcome(golden, function):
    x = golden["input"].requires_grad_()
    y = function(x)
    y.backward(golden["grad_output"].reshape(y.shape))
    return y.detach(), x.grad


@pytest.mark.parametrize("dense", [False, True], ids=["fast", "dense"])
@pytest.mark.parametrize("name", named("CovpoolLayer", "cov_feature"))
def test_covariance(name, dense):
    golden = load(name)
    flat = golden["input"].flatten(2)
    if name.startswith("cov_feature"):
        golden["input"] = flat
        function = ops.dense_position_covariance if dense else ops.position_covariance
        y, gradient = outcome(golden, lambda x: function(x, "released"))
    else:
        function = ops.dense_covariance if dense else ops.covariance
        y, gradient = outcome(golden, lambda x: function(x.flatten(2)))
    close(y, golden["output"], "covariance")
    close(gradient, golden["grad_input"].reshape(gradient.shape), "the input's gradient")


def symmetric(matrix):
    return (matrix + matrix.mT) / 2


@pytest.mark.parametrize("dense", [False, True], ids=["fast", "dense"])
@pytest.mark.parametrize("name", named(*ROOTS))
def test_root(name, dense):
    golden = load(name)
    steps = json.loads(metadata(name)["ctor"])["iterN"]
    y, gradient = outcome(golden, lambda x: (ops.dense_newton_schulz if dense else ops.newton_schulz)(x, steps))
    close(y, golden["output"], "root")
    close(symmetric(gradient), symmetric(golden["grad_input"]), "the symmetrised gradient")


def test_one_step_of_gsop_is_a_bug_of_the_reference():
    """It omits the last product: (3 I - A) / 2 instead of A (3 I - A) / 2. fast-MPN-COV is correct, and is matched."""
    golden = load(BUG)
    theirs, sigma = golden["output"], golden["input"]
    ours = ops.newton_schulz(sigma, 1)
    assert (ours - theirs).abs().max() > 1
    tau = sigma.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    forgotten = tau.sqrt() * (3 * torch.eye(16, dtype=torch.float64) - sigma / tau) / 2
    close(theirs, forgotten, "the reference")
    close(ours, sigma / tau @ forgotten, "one step")


@pytest.mark.parametrize("name", named("TriuvecLayer"))
def test_triangle(name):
    golden = load(name)
    y, gradient = outcome(golden, lambda x: ops.triangle(x, "lower" if "gsop" in name else "upper"))
    assert torch.equal(y, golden["output"].reshape(y.shape))
    assert torch.equal(gradient, golden["grad_input"])


@pytest.mark.parametrize("name", named("iSQRTCOV"))
def test_the_whole_chain(name):
    """The covariance is symmetric, so the antisymmetric part of the root's gradient has no effect."""
    golden = load(name)
    steps = json.loads(metadata(name)["ctor"])["iterN"]
    if "gsop" in name:
        assert steps == 3
        head = convert.block("gsop.ResNet.layer_reduce", {})
    else:
        head = convert.block("mpncov.MPNCOV", {"iterNum": steps, "input_dim": 16})
    y, gradient = outcome(
        golden,
        lambda x: ops.triangle(ops.newton_schulz(ops.covariance(x.flatten(2)), head.steps), head.triangle),
    )
    close(y, golden["output"], "chain")
    close(gradient, golden["grad_input"], "the input's gradient")


def test_every_file_is_compared():
    compared = named(*BLOCKS, *GATES, "CovpoolLayer", "cov_feature", *ROOTS, "TriuvecLayer", "iSQRTCOV")
    assert sorted([*compared, BUG]) == NAMES
    assert len(NAMES) == 45
