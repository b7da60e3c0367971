"""Blocks that let vision networks look at the whole frame, and the surgery that puts them into yours.

    import wholeframe as wf

    model = torchvision.models.resnet50(weights="DEFAULT")
    print(wf.insert(model, wf.GlobalContext, at="layer3.*"))

Importing the package imports neither torch nor torchvision: each public name is imported from its module on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; tests/test_face.py compares these lines with the table below
    from wholeframe import convert as convert
    from wholeframe import ops as ops
    from wholeframe import parts as parts
    from wholeframe.blocks import BAT as BAT
    from wholeframe.blocks import BLOCKS as BLOCKS
    from wholeframe.blocks import CBAM as CBAM
    from wholeframe.blocks import CGNL as CGNL
    from wholeframe.blocks import Affine as Affine
    from wholeframe.blocks import Block as Block
    from wholeframe.blocks import ContextBlock as ContextBlock
    from wholeframe.blocks import EffectiveSqueezeExcite as EffectiveSqueezeExcite
    from wholeframe.blocks import EfficientChannelAttention as EfficientChannelAttention
    from wholeframe.blocks import GatherExcite as GatherExcite
    from wholeframe.blocks import GlobalContext as GlobalContext
    from wholeframe.blocks import GSoP as GSoP
    from wholeframe.blocks import GSoPChannel as GSoPChannel
    from wholeframe.blocks import GSoPPosition as GSoPPosition
    from wholeframe.blocks import ISqrtCov as ISqrtCov
    from wholeframe.blocks import NonLocal as NonLocal
    from wholeframe.blocks import SimplifiedNonLocal as SimplifiedNonLocal
    from wholeframe.blocks import SqueezeExcite as SqueezeExcite
    from wholeframe.blocks import reset_blocks as reset_blocks
    from wholeframe.explain.attention import attention as attention
    from wholeframe.explain.collapse import collapse as collapse
    from wholeframe.explain.dependence import dependence as dependence
    from wholeframe.explain.recording import Recording as Recording
    from wholeframe.models.cost import cost as cost
    from wholeframe.models.inflate import inflate as inflate
    from wholeframe.models.zoo import MODELS as MODELS
    from wholeframe.models.zoo import create_model as create_model
    from wholeframe.store.hub import from_pretrained as from_pretrained
    from wholeframe.store.hub import push_to_hub as push_to_hub
    from wholeframe.store.hub import save_pretrained as save_pretrained
    from wholeframe.store.load import load as load
    from wholeframe.store.save import Saved as Saved
    from wholeframe.store.save import save as save
    from wholeframe.surgery.bake import bake as bake
    from wholeframe.surgery.insert import Report as Report
    from wholeframe.surgery.insert import insert as insert
    from wholeframe.surgery.insert import remove as remove
    from wholeframe.surgery.norms import freeze_norms as freeze_norms
    from wholeframe.surgery.norms import sync_batchnorm as sync_batchnorm
    from wholeframe.surgery.placement import Layout as Layout
    from wholeframe.surgery.record import Placement as Placement
    from wholeframe.surgery.record import blocks_of as blocks_of
    from wholeframe.surgery.restore import restore as restore
    from wholeframe.surgery.sites import Site as Site
    from wholeframe.surgery.sites import sites as sites
    from wholeframe.surgery.verify import verify as verify
    from wholeframe.train.evaluate import evaluate as evaluate
    from wholeframe.train.fit import fit as fit
    from wholeframe.train.run import load_run as load_run

    __version__: str

_MODULES = {
    "NonLocal": "wholeframe.blocks",
    "CGNL": "wholeframe.blocks",
    "GlobalContext": "wholeframe.blocks",
    "SimplifiedNonLocal": "wholeframe.blocks",
    "SqueezeExcite": "wholeframe.blocks",
    "EffectiveSqueezeExcite": "wholeframe.blocks",
    "EfficientChannelAttention": "wholeframe.blocks",
    "ContextBlock": "wholeframe.blocks",
    "GSoP": "wholeframe.blocks",
    "GSoPChannel": "wholeframe.blocks",
    "GSoPPosition": "wholeframe.blocks",
    "ISqrtCov": "wholeframe.blocks",
    "CBAM": "wholeframe.blocks",
    "BAT": "wholeframe.blocks",
    "GatherExcite": "wholeframe.blocks",
    "Affine": "wholeframe.blocks",
    "Block": "wholeframe.blocks",
    "BLOCKS": "wholeframe.blocks",
    "reset_blocks": "wholeframe.blocks",
    "insert": "wholeframe.surgery.insert",
    "remove": "wholeframe.surgery.insert",
    "Report": "wholeframe.surgery.insert",
    "Layout": "wholeframe.surgery.placement",
    "blocks_of": "wholeframe.surgery.record",
    "Placement": "wholeframe.surgery.record",
    "verify": "wholeframe.surgery.verify",
    "bake": "wholeframe.surgery.bake",
    "restore": "wholeframe.surgery.restore",
    "sites": "wholeframe.surgery.sites",
    "Site": "wholeframe.surgery.sites",
    "sync_batchnorm": "wholeframe.surgery.norms",
    "freeze_norms": "wholeframe.surgery.norms",
    "MODELS": "wholeframe.models.zoo",
    "create_model": "wholeframe.models.zoo",
    "inflate": "wholeframe.models.inflate",
    "cost": "wholeframe.models.cost",
    "attention": "wholeframe.explain.attention",
    "dependence": "wholeframe.explain.dependence",
    "collapse": "wholeframe.explain.collapse",
    "Recording": "wholeframe.explain.recording",
    "save": "wholeframe.store.save",
    "Saved": "wholeframe.store.save",
    "load": "wholeframe.store.load",
    "save_pretrained": "wholeframe.store.hub",
    "from_pretrained": "wholeframe.store.hub",
    "push_to_hub": "wholeframe.store.hub",
    "fit": "wholeframe.train.fit",
    "evaluate": "wholeframe.train.evaluate",
    "load_run": "wholeframe.train.run",
}
"""public name -> the module that defines or collects it"""

_PACKAGES = ("convert", "ops", "parts")
"""public modules of the package"""


if not TYPE_CHECKING:  # A type checker that reads this function would accept every name.

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            value = getattr(importlib.import_module(_MODULES[name]), name)
        elif name in _PACKAGES:
            value = importlib.import_module(f"wholeframe.{name}")
        elif name == "__version__":
            value = importlib.import_module("importlib.metadata").version("wholeframe")
        else:
            raise AttributeError(_unknown(name))
        globals()[name] = value  # the next access finds the value without this function
        return value


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_PACKAGES, "__version__", "__doc__", "__file__", "__name__", "__path__"])


def _unknown(name: str) -> str:
    sentence = f"module 'wholeframe' has no attribute {name!r}"
    if name.startswith("_"):  # tools probe for such names
        return sentence
    from wholeframe.messages import did_you_mean  # here, because most programs never need it

    return (
        f"{sentence}{did_you_mean(name, [*_MODULES, *_PACKAGES])} (`dir(wholeframe)` lists its names; contexts and "
        "transforms are in `wholeframe.parts`)"
    )
