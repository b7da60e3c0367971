"""How many views of a video are evaluated: clips spread over it, times crops of each clip."""

from dataclasses import dataclass

from wholeframe.data.video.crops import Crops

CROPS: dict[str, Crops] = {"1": "centre", "3": "three", "full": "full"}
"""The crops by their short names in `CLIPSxCROPS`."""


@dataclass(frozen=True)
class Views:
    """Clips of a video times crops of each clip: 10x3 in the released code of Wang et al., 10xfull in their paper.

    Attributes:
        clips: the number of clips.
        crops: the crops of each clip.
    """

    clips: int
    crops: Crops

    def __str__(self) -> str:
        return f"{self.clips}x{next(name for name, crops in CROPS.items() if crops == self.crops)}"

    @property
    def count(self) -> int:
        """Forward passes per video."""
        return self.clips * (3 if self.crops == "three" else 1)


ONCE = Views(1, "centre")
PUBLISHED = Views(10, "three")


def read_views(text: str) -> Views:
    """Parse `CLIPSxCROPS`, such as `10x3`.

    Args:
        text: the number of clips, `x`, and `1`, `3` or `full`.

    Raises:
        ValueError: the text has another form; the message names the forms.
    """
    clips, _, crops = text.partition("x")
    if not clips.isdecimal() or int(clips) < 1 or crops not in CROPS:
        raise ValueError(
            f"--views {text!r} is not CLIPSxCROPS: 10x3 takes ten clips of a video and three crops of each, 10x1 the "
            "centre crop, 10xfull the whole frame"
        )
    return Views(int(clips), CROPS[crops])
