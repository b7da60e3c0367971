"""What a search has decided and spent: `search.json`, by which a killed search continues."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from wholeframe.train.pace import Pace
from wholeframe.train.whole_files import write_json

FILE = "search.json"


@dataclass
class Spent:
    """The state of a search that its finished trainings do not have.

    Args:
        folder: of the search.
        seconds: the time of all calls of the command, up to the last finished training.
        parts: the length of every rung that has begun, as a part of the full training.
        paces: task and candidate -> the measured pace; empty without a budget of time.
    """

    folder: Path
    seconds: float = 0.0
    parts: list[float] = field(default_factory=list)
    paces: dict[str, Pace] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Spent":
        """That of a folder; nothing spent in a new one. ValueError for a damaged file, or one that is gone."""
        file, record = folder / FILE, folder / "recipe.json"
        begun = file.exists() or any(folder.glob("rung-*/trainings.jsonl"))
        for needed in (file, record) if begun else ():
            if not needed.exists():
                raise ValueError(f"'{needed}' is gone, without which this search cannot continue; give another --out")
        if not begun:
            return cls(folder)
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
            paces = {name: Pace(float(pace["fixed"]), float(pace["step"])) for name, pace in there["paces"].items()}
            return cls(folder, float(there["seconds"]), [float(part) for part in there["parts"]], paces)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"'{file}' is damaged, so that this search cannot continue; give another --out") from error

    def write(self) -> None:
        """Write the file."""
        state = {name: value for name, value in dataclasses.asdict(self).items() if name != "folder"}
        write_json(self.folder / FILE, state)
