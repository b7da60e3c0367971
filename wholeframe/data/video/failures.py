"""Which clips could not be read, how often and why, in memory that worker processes share."""

import zlib
from collections.abc import Sequence

import torch

from wholeframe.data.video.info import VideoError
from wholeframe.data.video.segments import Segment
from wholeframe.messages import counted, listed, shown

REASONS, LENGTH = 64, 200
"""Different reasons that are kept, and bytes of each. Further ones are counted as "other reasons"."""


class Failures:
    """Counts the failures of each clip, and keeps the reason of the last.

    Two processes that find the first failures of two reasons at the same instant may write them into one place; the
    counts are then right, and one of the reasons is that of the other.

    Args:
        segments: the clips.
    """

    def __init__(self, segments: Sequence[Segment]):
        self.segments = segments
        self.times = torch.zeros(len(segments), dtype=torch.int32).share_memory_()
        self.why = torch.zeros(len(segments), dtype=torch.uint8).share_memory_()
        self.texts = torch.zeros(REASONS, LENGTH, dtype=torch.uint8).share_memory_()

    def add(self, number: int, error: Exception) -> None:
        """Count a failure of clip `number`."""
        self.times[number] += 1
        self.why[number] = self._place(shown(_reason(error), LENGTH // 4).encode()[:LENGTH])

    def _place(self, text: bytes) -> int:
        """The row of `texts` with this text, which is written into a free row if there is none; 0 if all are taken."""
        first = zlib.crc32(text)
        for step in range(REASONS - 1):
            row = 1 + (first + step) % (REASONS - 1)
            there = self._text(row)
            if not there:
                self.texts[row, : len(text)] = torch.tensor(list(text), dtype=torch.uint8)
            if not there or there == text:
                return row
        return 0

    def _text(self, row: int) -> bytes:
        return bytes(self.texts[row].tolist()).rstrip(b"\0")

    def sentence(self, consequence: str) -> str:
        """The clips that could not be read so far, by reason; empty if there are none."""
        if not self.times.any():
            return ""
        groups: dict[int, list[str]] = {}
        for number in self.times.nonzero().flatten().tolist():
            name = f"'{shown(self.segments[number].path)}' ({int(self.times[number])} times)"
            groups.setdefault(int(self.why[number]), []).append(name)
        count = sum(map(len, groups.values()))
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        reasons = listed((f"{listed(names)}: {self._reason(row, len(names))}" for row, names in ordered), between="; ")
        return f"{count} of {len(self.segments)} clips could not be decoded, and {consequence}: {reasons}"

    def _reason(self, row: int, clips: int) -> str:
        text = self._text(row).decode(errors="replace") if row else "other reasons"
        return f"{text} ({counted(clips, 'clip')})"


def _reason(error: Exception) -> str:
    if isinstance(error, VideoError):
        return error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
