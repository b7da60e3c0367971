"""Write docs/backbones.md: `uv run --extra tools python docs/backbones.py`.

One block goes into every backbone of the list, at the named sites. What the table says of a row is measured: see
`measure`. Weights are random, and images as small as the backbone allows.
"""

import copy
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import wholeframe as wf

PAGE = Path(__file__).with_name("backbones.md")


@dataclass(frozen=True)
class Backbone:
    """A network, an input for it, and where its blocks go."""

    package: str
    name: str
    build: Callable[[], nn.Module]
    at: str
    size: tuple[int, ...] = (2, 3, 64, 64)
    keyword: str | None = None
    output: int | str | None = None

    @property
    def example(self) -> Any:
        """The argument `example` of `insert`."""
        image = torch.randn(self.size, generator=torch.Generator().manual_seed(0))
        if self.package == "torchvision detection":
            return ([image[0]],)
        if self.name.startswith("raft"):
            return (image, image.flip(3))
        return image if self.keyword is None else {self.keyword: image}

    @property
    def call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the keyword arguments of a forward pass."""
        example = self.example
        if isinstance(example, dict):
            return (), example
        return example if isinstance(example, tuple) else (example,), {}

    def run(self, model: nn.Module) -> list[Tensor]:
        """All floating-point outputs."""
        args, kwargs = self.call
        leaves = pytree.tree_leaves(_plain(model(*args, **kwargs)))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    channels: int
    grid: tuple[int, ...]
    layout: str
    blocks: int
    unchanged: bool
    same_after_load: bool
    still: tuple[str, ...]
    exports: str

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        return self.unchanged and self.same_after_load and not self.still


def _plain(given: Any) -> Any:
    """Dicts of transformers, MONAI and torchvision as plain ones, which pytree takes apart."""
    if hasattr(given, "items"):
        return {key: _plain(value) for key, value in given.items()}
    return [_plain(value) for value in given] if isinstance(given, tuple | list) else given


def _torchvision(kind: str) -> list[Backbone]:
    import torchvision.models as models
    from torchvision.models import detection, optical_flow, segmentation, video

    alone = {"weights": None}
    whole = {"weights": None, "weights_backbone": None}
    if kind == "classification":
        vit = partial(models.VisionTransformer, 64, 8, 3, 3, 96, 192)
        rows = [
            ("resnet18", models.resnet18, "layer3.*"),
            ("regnet_y_400mf", models.regnet_y_400mf, "trunk_output.block3.*"),
            ("mobilenet_v3_small", models.mobilenet_v3_small, "features.[68]"),
            ("efficientnet_b0", models.efficientnet_b0, "features.5"),
            ("densenet121", models.densenet121, "features.transition2"),
            ("shufflenet_v2_x0_5", models.shufflenet_v2_x0_5, "stage3"),
            ("convnext_tiny", models.convnext_tiny, "features.5.[024]"),
            ("swin_t", models.swin_t, "features.5.*"),
            ("swin_v2_t", models.swin_v2_t, "features.3.*"),
        ]
        return [Backbone("torchvision", name, partial(build, **alone), at) for name, build, at in rows] + [
            Backbone("torchvision", "VisionTransformer", vit, "encoder.layers.encoder_layer_[01]"),
        ]
    if kind == "dense":
        small = {"min_size": 64, "max_size": 64, "box_score_thresh": 0}  # so that random weights find something
        box = partial(detection.fasterrcnn_mobilenet_v3_large_320_fpn, **whole, **small)
        return [
            Backbone(
                "torchvision segmentation",
                "lraspp_mobilenet_v3_large",
                partial(segmentation.lraspp_mobilenet_v3_large, **whole),
                "backbone.12",
            ),
            Backbone(
                "torchvision segmentation",
                "deeplabv3_mobilenet_v3_large",
                partial(segmentation.deeplabv3_mobilenet_v3_large, **whole),
                "backbone.12",
            ),
            Backbone("torchvision detection", "fasterrcnn_mobilenet_v3_large_320_fpn", box, "backbone.body.12"),
            Backbone("torchvision detection", "the same, its pyramid", box, "backbone.fpn", output="0"),
        ]
    clip = (1, 3, 8, 64, 64)
    swin = partial(video.SwinTransformer3d, [2, 4, 4], 24, [1, 1], [2, 4], [8, 7, 7])
    return [
        Backbone("torchvision video", "r3d_18", partial(video.r3d_18, **alone), "layer3.*", clip),
        Backbone("torchvision video", "SwinTransformer3d", swin, "features.*.0", clip),
        Backbone(
            "torchvision optical flow",
            "raft_small",
            partial(optical_flow.raft_small, **alone),
            "feature_encoder.layer2",
            (1, 3, 128, 128),
        ),
    ]


def _timm() -> list[Backbone]:
    import timm

    small = {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 2}
    rows = [
        ("resnet26", {}, "layer3.*"),
        ("convnextv2_atto", {}, "stages.2.blocks.*"),
        ("efficientnet_b0", {}, "blocks.3"),
        ("mobilenetv4_conv_small", {}, "blocks.2"),
        ("regnety_002", {}, "s3.b1"),
        ("hrnet_w18_small", {}, "layer1"),
        ("vit_tiny_patch16_224", small, "blocks.0"),
        ("deit_tiny_distilled_patch16_224", small, "blocks.0"),
        ("vit_small_patch14_reg4_dinov2", small | {"img_size": 56}, "blocks.0"),
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "window_size": 4}, "layers.1.blocks.*"),
        ("mixer_s32_224", {"img_size": 64}, "blocks.[024]"),
        ("levit_128s", {"img_size": 64}, "stages.1.blocks.*"),
        ("pvt_v2_b0", {}, "stages.1.blocks.*"),
        ("hiera_tiny_224", {"img_size": 64}, "blocks.3"),
        ("coatnet_pico_rw_224", {"img_size": 64}, "stages.2.blocks.0"),
        ("poolformer_s12", {}, "stages.1.blocks.*"),
        ("mvitv2_tiny", {}, "stages.1.blocks.0"),
        ("edgenext_xx_small", {}, "stages.2.blocks.0"),
        ("resnet26", {"features_only": True}, "layer3.*"),
    ]
    return [
        Backbone(
            "timm",
            name + (", features_only" if "features_only" in options else ""),
            partial(timm.create_model, name, **options),
            at,
            (2, 3, options.get("img_size", 64), options.get("img_size", 64)),
        )
        for name, options, at in rows
    ]


def _transformers() -> list[Backbone]:
    import transformers as t

    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    sizes = {"image_size": 64, "patch_size": 8}
    detr = t.DetrConfig(
        backbone_config=t.ResNetConfig(depths=[1, 1, 1, 1], hidden_sizes=[32, 64, 64, 64], out_features=["stage4"]),
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    rows = [
        ("ViT", lambda: t.ViTForImageClassification(t.ViTConfig(**small, **sizes)), "vit.layers.0"),
        (
            "Dinov2",
            lambda: t.Dinov2ForImageClassification(
                t.Dinov2Config(hidden_size=48, num_hidden_layers=2, num_attention_heads=2, **sizes)
            ),
            "dinov2.encoder.layer.0",
        ),
        (
            "Swin",
            lambda: t.SwinForImageClassification(
                t.SwinConfig(image_size=64, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4)
            ),
            "swin.encoder.layers.*.blocks.*",
        ),
        (
            "SegFormer",
            lambda: t.SegformerForSemanticSegmentation(
                t.SegformerConfig(depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 48, 64], decoder_hidden_size=32)
            ),
            "segformer.stages.[12].blocks.0",
        ),
        (
            "ConvNext",
            lambda: t.ConvNextForImageClassification(
                t.ConvNextConfig(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1])
            ),
            "convnext.encoder.stages.2.layers.*",
        ),
        (
            "ResNet",
            lambda: t.ResNetForImageClassification(
                t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1])
            ),
            "resnet.encoder.stages.2.layers.*",
        ),
        ("DETR", lambda: t.DetrForObjectDetection(detr), "model.encoder.layers.0"),
    ]
    return [Backbone("transformers", name, build, at, keyword="pixel_values") for name, build, at in rows]


def _segmentation() -> list[Backbone]:
    import segmentation_models_pytorch as smp

    nets = [("Unet", "decoder.blocks.*"), ("FPN", "decoder.p4"), ("DeepLabV3Plus", "encoder.layer3.*")]
    return [
        Backbone(
            "segmentation-models-pytorch",
            f"{name}, resnet18",
            partial(getattr(smp, name), "resnet18", encoder_weights=None),
            at,
            (2, 3, 64, 64),
        )
        for name, at in nets
    ]


def _monai() -> list[Backbone]:
    from monai.networks import nets

    unet = {"channels": (8, 16, 32), "strides": (2, 2), "in_channels": 1, "out_channels": 2}
    return [
        Backbone("MONAI", "UNet, 2-D", lambda: nets.UNet(2, **unet), "model.0", (2, 1, 32, 32)),
        Backbone("MONAI", "UNet, 3-D", lambda: nets.UNet(3, **unet), "model.0", (1, 1, 16, 32, 32)),
        Backbone(
            "MONAI",
            "BasicUNet, 3-D",
            lambda: nets.BasicUNet(3, 1, 2, (8, 8, 16, 16, 32, 8)),
            "down_2",
            (1, 1, 32, 32, 32),
        ),
    ]


def _ultralytics() -> list[Backbone]:
    from ultralytics.nn import tasks

    return [
        Backbone(
            "ultralytics",
            name,
            lambda name=name, task=task: getattr(tasks, task)(f"{name}.yaml", verbose=False),
            "model.[69]",
        )
        for name, task in (
            ("yolo11n", "DetectionModel"),
            ("yolov8n", "DetectionModel"),
            ("yolo11n-seg", "SegmentationModel"),
        )
    ]


PACKAGES: dict[str, Callable[[], list[Backbone]]] = {
    "torchvision": lambda: [b for kind in ("classification", "dense", "video") for b in _torchvision(kind)],
    "timm": _timm,
    "transformers": _transformers,
    "segmentation_models_pytorch": _segmentation,
    "monai": _monai,
    "ultralytics": _ultralytics,
}


def measure(backbone: Backbone) -> Measured:
    """Insert a GC block at every site of a backbone, and see what becomes of it.

    - unchanged: the outputs in evaluation are equal to the bit;
    - same after load: the state dict of the trained network, loaded strictly into a fresh network with the same
      blocks, gives equal outputs;
    - still: weights of blocks that five steps of AdamW did not move (but the bias of the attention's logits, which a
      softmax does not depend on);
    - exports: whether `torch.export` takes the network, or why the backbone alone does not export either.
    """
    torch.manual_seed(0)
    model = backbone.build()
    fresh = copy.deepcopy(model)
    insert = partial(
        wf.insert, block=wf.GlobalContext, at=backbone.at, example=backbone.example, output=backbone.output
    )
    report = insert(model)
    row = report.rows[0]
    still = _five_steps(backbone, model, report.parameter_names)
    insert(fresh)
    fresh.load_state_dict(model.state_dict())
    pairs = zip(backbone.run(fresh.eval()), backbone.run(model.eval()), strict=True)
    with torch.no_grad():
        same = all(torch.equal(mine, theirs) for mine, theirs in pairs)
    return Measured(
        row.channels,
        row.grid,
        str(row.layout),
        len(report.rows),
        report.unchanged,
        same,
        still,
        _exports(backbone, model),
    )


def _five_steps(backbone: Backbone, model: nn.Module, names: tuple[str, ...]) -> tuple[str, ...]:
    """Train the network; the names of the new weights that did not move."""
    new = {name: dict(model.named_parameters())[name] for name in names}
    before = {name: weight.detach().clone() for name, weight in new.items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    model.train("detection" not in backbone.package)  # detectors return nothing but losses in training
    for _ in range(5):
        optimiser.zero_grad()
        sum((y - 1).square().mean() for y in backbone.run(model)).backward()
        optimiser.step()
    return tuple(n for n in names if not n.endswith("logits.bias") and torch.equal(before[n], new[n]))


def _exports(backbone: Backbone, model: nn.Module) -> str:
    args, kwargs = backbone.call
    try:
        torch.export.export(model.eval(), args, kwargs)
    except Exception:
        wf.remove(model)
        try:
            torch.export.export(model.eval(), args, kwargs)
        except Exception as error:
            return f"not without blocks either ({type(error).__name__})"
        return "no"
    return "yes"


INTRODUCTION = """\
# Backbones that blocks were tried in

Written by `uv run --extra tools python docs/backbones.py`. A GC block (`wf.GlobalContext`) goes into every backbone, at
each module that the glob matches, with random weights and small images. *Layout* is what `insert` found. A row is
printed only if the outputs did not change, to the bit; if the state dict of the trained network, loaded strictly into a
fresh one with the same blocks, gives equal outputs; and if five steps of AdamW move every weight of every block
(but the bias of the attention's logits, which a softmax does not depend on). *Exports* is `torch.export` of the network
with its blocks.

| package | backbone | at | blocks | channels and grid | layout | exports |
|---|---|---|---:|---|---|---|
"""


def line(backbone: Backbone, row: Measured) -> str:
    """One row of the page; AssertionError if anything is not as it must be."""
    assert row.holds, f"{backbone.package} {backbone.name}: {row}"
    at = f"`{backbone.at}`" + ("" if backbone.output is None else f", `output={backbone.output!r}`")
    grid = f"{row.channels} on {' x '.join(map(str, row.grid))}"
    cells = (backbone.package, backbone.name, at, f"{row.blocks}", grid, row.layout, row.exports)
    return f"| {' | '.join(cells)} |"


def backbones(*packages: str) -> list[Backbone]:
    """The backbones of these packages, or of all."""
    return [backbone for package in packages or PACKAGES for backbone in PACKAGES[package]()]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    lines = []
    for chosen in backbones(*sys.argv[1:]):
        try:
            lines.append(line(chosen, measure(chosen)))
        except Exception as error:
            print(chosen.package, chosen.name, type(error).__name__, str(error)[:600])
            continue
        print(lines[-1], flush=True)
    if not sys.argv[1:]:
        PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")
