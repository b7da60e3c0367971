"""Reference implementations in float64: outputs, every gradient by name, running statistics.

The README of this folder describes the files; `wholeframe.convert` builds the block from the arguments and parameter
names of the reference.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from wholeframe import convert, ops
from wholeframe.blocks import NonLocal

HERE = Path(__file__).parent

# Files under nonlocal/ and cgnl/ name their class, those under gcnet/ do not.
REFERENCES = {
    "mmcv_contextblock": "mmcv.ContextBlock",
    "mmcv_nonlocal2d": "mmcv.NonLocal2d",
    "gcnet_contextblock": "gcnet.ContextBlock",
    "gcnet_bottleneck": "gcnet.Bottleneck",
    "timm_globalcontext": "timm.GlobalContext",
    "timm_nonlocal": "timm.NonLocalAttn",
    "timm_se": "timm.SEModule",
    "timm_eca": "timm.EcaModule",
    "timm_gather_excite": "timm.GatherExcite",
    "timm_cbam": "timm.CbamModule",
    "timm_bat": "timm.BatNonLocalAttn",
    "timm_ese": "timm.EffectiveSEModule",
    "torchvision_se": "torchvision.SqueezeExcitation",
    "moskomule_selayer": "senet.SELayer",
}
CLASSES = {
    "mmcv.cnn.": "mmcv.",
    "slowfast.models.nonlocal_helper.": "slowfast.",
    "slowfast.models.resnet_helper.": "slowfast.",
    "pytorchvideo.layers.nonlocal_net.": "pytorchvideo.",
    "lib/": "alexhex7.",
}
# Files whose reference differs from its own formula by more than 1e-10.
TOLERANCES = {
    # gamma and the coefficients of the series are float32, everything else is float64
    "cgnl/SpatialCGNLx_o3_g2_scale0_gammaf32": 1e-6,
}
FOLDERS = ("nonlocal", "gcnet", "cgnl")
NAMES = [f"{folder}/{path.stem}" for folder in FOLDERS for path in sorted(HERE.glob(f"{folder}/*.safetensors"))]


def metadata(name: str) -> dict[str, str]:
    with safe_open(HERE / f"{name}.safetensors", "pt") as file:
        return file.metadata()


def reference(name: str) -> str | None:
    """The name in `convert.SOURCES`, or None for a file that is not the golden of a block."""
    if plain := metadata(name).get("reference_class"):
        return f"{name.split('/')[0]}.{plain}"
    written = metadata(name).get("class_name", "")
    for prefix, short in CLASSES.items():
        if written.startswith(prefix):
            found = (short + written.removeprefix(prefix)).replace(".py:", ".")
            return found if found in convert.SOURCES else None
    stem = name.split("/")[1]
    return next((r for prefix, r in REFERENCES.items() if f"{stem}_".startswith(f"{prefix}_")), None)


def constructor(name: str) -> dict[str, object]:
    written = metadata(name)
    return json.loads(written.get("constructor_args") or written.get("constructor") or written["ctor"])


def trains(name: str) -> bool:
    written = metadata(name)
    return written["mode"] == "train" if "mode" in written else written["training"] == "True"


def cases() -> list[tuple[str, str]]:
    """Every golden on every backend of its kind; backends from x x^T cannot run with keys pooled after phi and g."""
    pairs = []
    for name in NAMES:
        if source := reference(name):
            block = convert.block(source, constructor(name))
            backends = ops.backend_names(block.kind) if isinstance(block, NonLocal) else ()
            refused = ("symmetric", "gram") if isinstance(block, NonLocal) and block.keys.pooled == "after" else ()
            pairs += [(name, backend) for backend in ("auto", *backends) if backend not in refused]
    return pairs


def part(golden: dict[str, torch.Tensor], *prefixes: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(p): tensor for key, tensor in golden.items() for p in prefixes if key.startswith(p)}


def closeness(name: str) -> Callable[[torch.Tensor, torch.Tensor, str], None]:
    tolerance = TOLERANCES.get(name, 1e-10)

    def close(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, msg=lambda text: f"{what}: {text}")

    return close


@pytest.mark.parametrize(("name", "backend"), cases())
def test_golden(name, backend):
    close, golden = closeness(name), load_file(HERE / f"{name}.safetensors")
    source = convert.SOURCES[reference(name)]
    block = convert.block(reference(name), constructor(name), part(golden, "param.", "buffer."))
    block.train(trains(name))
    if backend != "auto":
        block.backend = backend

    x = golden["input"].requires_grad_()
    output = block(x)
    close(output, golden["output"], "output")
    if "attention" in golden:
        every_query = range(x[0, 0].numel())
        close(block.attention(x, every_query).flatten(2), golden["attention"], "attention")
    ours = block.state_dict()
    for key, expected in part(golden, "buffer_after.").items():
        close(ours[source.rename(key)], expected, f"{key} after a step")

    # mmcv's concatenation divides a saved output in place, so its own backward pass raises: the file has no gradients.
    if "grad_input" not in golden:
        assert reference(name).startswith("mmcv.NonLocal") and "concatenation" in name
        return
    output.backward(golden["grad_output"])
    close(x.grad, golden["grad_input"], "the input's gradient")
    gradients = {key: parameter.grad for key, parameter in block.named_parameters()}
    expected = {source.rename(key): gradient for key, gradient in part(golden, "grad.").items()}
    assert gradients.keys() == expected.keys()
    for key, gradient in expected.items():
        close(gradients[key], gradient.reshape(gradients[key].shape), f"the gradient of {key}")


def test_every_file_is_compared():
    """The one exception has statistics of attention and no block: tests/explain/test_dependence.py uses it."""
    assert [name for name in NAMES if reference(name) is None] == ["gcnet/spec_query_independence_stats"]
    assert len(NAMES) == 174
