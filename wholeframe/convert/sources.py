"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import cgnl, found_blocks, gsop, mpncov, pytorchcv, slowfast
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    "slowfast": slowfast.SOURCE,
    "cgnl": cgnl.SOURCE,
    "gsop": gsop.SOURCE,
    "mpncov": mpncov.SOURCE,
    "pytorchcv": pytorchcv.SOURCE,
    "alexhex7": found_blocks.ALEXHEX7,
    "tea1528": found_blocks.TEA1528,
}
