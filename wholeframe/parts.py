"""Contexts and transforms: the parts that a `ContextBlock` is built from.

wf.ContextBlock(64, context=wf.parts.MeanContext, transform=wf.parts.LinearTransform, fusion="multiply")
"""

from wholeframe.blocks import AttentionContext as AttentionContext
from wholeframe.blocks import Bottleneck as Bottleneck
from wholeframe.blocks import ChannelConv as ChannelConv
from wholeframe.blocks import CovarianceContext as CovarianceContext
from wholeframe.blocks import IdentityTransform as IdentityTransform
from wholeframe.blocks import LinearTransform as LinearTransform
from wholeframe.blocks import MaxContext as MaxContext
from wholeframe.blocks import MeanAndMaxContext as MeanAndMaxContext
from wholeframe.blocks import MeanContext as MeanContext
from wholeframe.blocks import MeanMaxContext as MeanMaxContext
from wholeframe.blocks import RowConv as RowConv
from wholeframe.blocks import SharedBottleneck as SharedBottleneck
from wholeframe.blocks import StdContext as StdContext
