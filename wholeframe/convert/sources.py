"""All repositories whose whole networks are converted."""

from wholeframe.convert.networks import slowfast
from wholeframe.convert.whole import WholeSource

WHOLE: dict[str, WholeSource] = {
    "slowfast": slowfast.SOURCE,
}
