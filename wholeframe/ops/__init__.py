"""Pure functions of tensors: the mathematics of every block, without weights."""

from wholeframe.ops.context import attention_context as attention_context
from wholeframe.ops.context import attention_weights as attention_weights
from wholeframe.ops.context import mean_context as mean_context
from wholeframe.ops.context import std_context as std_context
from wholeframe.ops.layout import coordinates as coordinates
from wholeframe.ops.layout import cut as cut
from wholeframe.ops.layout import flat_index as flat_index
from wholeframe.ops.layout import join as join
from wholeframe.ops.layout import pool_keys as pool_keys
from wholeframe.ops.layout import pool_window as pool_window
from wholeframe.ops.layout import to_grid as to_grid
from wholeframe.ops.layout import to_positions as to_positions
from wholeframe.ops.pairwise import KINDS as KINDS
from wholeframe.ops.pairwise import Kind as Kind
from wholeframe.ops.pairwise import Scale as Scale
from wholeframe.ops.pairwise import backends as backends
from wholeframe.ops.pairwise import pairwise as pairwise
from wholeframe.ops.pairwise import pairwise_macs as pairwise_macs
from wholeframe.ops.pairwise import pairwise_weights as pairwise_weights
from wholeframe.ops.pairwise import resolve_scale as resolve_scale
