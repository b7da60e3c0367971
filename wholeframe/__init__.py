"""Blocks that let vision networks look at the whole frame, and the surgery that puts them into yours."""

from wholeframe import convert as convert
from wholeframe.blocks import BLOCKS as BLOCKS
from wholeframe.blocks import AttentionContext as AttentionContext
from wholeframe.blocks import Bottleneck as Bottleneck
from wholeframe.blocks import ChannelConv as ChannelConv
from wholeframe.blocks import ContextBlock as ContextBlock
from wholeframe.blocks import EffectiveSqueezeExcite as EffectiveSqueezeExcite
from wholeframe.blocks import EfficientChannelAttention as EfficientChannelAttention
from wholeframe.blocks import GlobalContext as GlobalContext
from wholeframe.blocks import IdentityTransform as IdentityTransform
from wholeframe.blocks import LinearTransform as LinearTransform
from wholeframe.blocks import MaxContext as MaxContext
from wholeframe.blocks import MeanContext as MeanContext
from wholeframe.blocks import MeanMaxContext as MeanMaxContext
from wholeframe.blocks import NonLocal as NonLocal
from wholeframe.blocks import SimplifiedNonLocal as SimplifiedNonLocal
from wholeframe.blocks import SqueezeExcite as SqueezeExcite
from wholeframe.blocks import StdContext as StdContext
from wholeframe.blocks import reset_blocks as reset_blocks
from wholeframe.models.surgery import Report as Report
from wholeframe.models.surgery import Site as Site
from wholeframe.models.surgery import insert as insert
from wholeframe.models.surgery import remove as remove
from wholeframe.models.surgery import sites as sites
