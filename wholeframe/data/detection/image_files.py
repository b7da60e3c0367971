"""The image that an annotation names: its file within a folder."""

import os
from pathlib import Path


def located(folder: Path, name: str) -> tuple[Path | None, bool]:
    """Find the file of an image, which is always within the folder.

    Files of annotations name an image by its path on the machine that wrote them: in another folder, from the root of
    a disk, with the backslashes of Windows. The longest end of such a path that is a file in the folder counts; parts
    before a `..` do not.

    Args:
        folder: the folder of the images.
        name: the name or path in the file of annotations.

    Returns:
        The file, None if there is none; and whether only an end of the path names it.
    """
    inward = not os.path.isabs(name) and ".." not in name.replace("\\", "/").split("/")
    if name and inward and os.path.isfile(folder / name):
        return folder / name, False
    before, _, rest = name.partition("/")
    if inward and before == folder.name and rest and os.path.isfile(folder / rest):  # a path from the folder above
        return folder / rest, False
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    for start in range(len(parts)):
        file = folder.joinpath(*parts[start:])
        if os.path.isfile(file):  # False, not an exception, for names that no file can have
            return file, True
    return None, False
