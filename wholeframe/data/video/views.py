"""How often a video is looked at when it is tested: some clips, and some crops of each."""

from dataclasses import dataclass

from wholeframe.data.video.crops import Crops

CROPS: dict[str, Crops] = {"1": "centre", "3": "three", "full": "full"}


@dataclass(frozen=True)
class Views:
    """Clips spread over a video times crops of each: 10x3 in the released code, 10xfull in the paper."""

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
    """`10x3` read. ValueError, with what can be read, for anything else."""
    clips, _, crops = text.partition("x")
    if not clips.isdecimal() or int(clips) < 1 or crops not in CROPS:
        raise ValueError(
            f"--views {text!r} is not CLIPSxCROPS: 10x3 takes ten clips of a video and three crops of each, 10x1 the "
            "centre, 10xfull the whole frame"
        )
    return Views(int(clips), CROPS[crops])
