"""Find the videos of a list in a folder."""

import os
from pathlib import Path

from wholeframe.data.video.extensions import EXTENSIONS, is_video
from wholeframe.data.video.list_text import refuse_line
from wholeframe.messages import in_quotes, listed, shown


class VideoFinder:
    """Finds a video by the name that a list gives it.

    That is a path, or a path relative to the folder; else a file of this name at any depth, with or without its suffix.
    A folder of numbered frames is found like a file.

    Attributes:
        folder: where the videos are.
        guessed: the names whose folder or suffix is another than that of the file that was found, with this file.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.guessed: dict[str, Path] = {}
        self.by_name: dict[str, list[Path]] = {}
        seen: set[str] = set()
        for place, folders, files in os.walk(folder, followlinks=True):
            real = os.path.realpath(place)
            folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
            if real not in seen:
                seen.add(real)
                for name in (*folders, *files):
                    if not name.startswith("."):
                        for key in {name, Path(name).stem}:
                            self.by_name.setdefault(key, []).append(Path(place, name))

    def __call__(self, name: str) -> Path | None:
        """The file or the folder of frames; None if there is none.

        Raises:
            ValueError: several have this name.
        """
        if not name:
            return None
        path = self.folder / name
        if os.path.isfile(path) or (os.path.isdir(path) and is_video(path)):
            return path
        wanted = Path(name)
        known = self.by_name.get(wanted.name, [])
        if not known and wanted.suffix.lower() in EXTENSIONS:
            known = self.by_name.get(wanted.stem, [])
        found = sorted(filter(_usable, known))
        if len(found) > 1:
            several = listed(in_quotes(found), most=2)
            folder = f"'{shown(self.folder)}'"
            raise ValueError(f"'{shown(name)}' in the list may be any of {several}; give its path relative to {folder}")
        if found and (wanted.parent != Path() or _another_suffix(wanted, found[0])):
            self.guessed[name] = found[0]
        return found[0] if found else None

    def is_there(self, name: str) -> bool:
        """Whether a name is a path, or a path relative to the folder."""
        return bool(name) and os.path.exists(self.folder / name)

    def of_line(self, file: Path, line: int, name: str) -> Path | None:
        """The same for a name in a line of a list, which an error then gives."""
        try:
            return self(name)
        except ValueError as error:
            refuse_line(file, line, str(error))

    def note(self) -> str:
        """The names that were found elsewhere or under another suffix; empty if there are none."""
        pairs = [f"'{shown(name)}' is '{shown(path.relative_to(self.folder))}'" for name, path in self.guessed.items()]
        return f"found by name alone: {listed(pairs)}" if pairs else ""


def _usable(path: Path) -> bool:
    return (path.suffix.lower() in EXTENSIONS and path.is_file()) or is_video(path)


def _another_suffix(wanted: Path, found: Path) -> bool:
    return wanted.suffix.lower() in EXTENSIONS and wanted.suffix != found.suffix
