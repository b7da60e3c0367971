"""Which files of class folders are images: by suffix and content, and whether each decodes."""

import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wholeframe.data.class_folders import SplitFolders, hidden_below, loose_files
from wholeframe.data.images import why_unreadable
from wholeframe.data.raster import EXTENSIONS, is_raster
from wholeframe.messages import counted, in_quotes, listed


def images_among(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The images, by suffix or by content, and the others. One with the suffix alone is found to be broken later."""
    images: list[Path] = []
    others: list[Path] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            (images if file.suffix.lower() in EXTENSIONS or is_raster(file) else others).append(file)
    return images, others


def overlooked(root: Path, splits: SplitFolders) -> tuple[tuple[Path, str], ...]:
    """Images outside the class folders, and hidden names, with the reason why they are not read."""
    loose, _ = images_among(loose_files(splits, root))
    outside = ((file.relative_to(root), "they lie outside the class folders") for file in loose)
    return (*outside, *((path.relative_to(root), "their names start with a dot") for path in hidden_below(root)))


def misnamed(usable: set[Path]) -> str:
    """The note about images that have the suffix of something else."""
    odd = sorted(file for file in usable if file.suffix.lower() not in EXTENSIONS)
    named = listed(in_quotes(file.name for file in odd))
    return f"{counted(len(odd), 'file')} read as images by their content: {named}" if odd else ""


def reasons_not_to_use(images: Sequence[Path]) -> dict[Path, str]:
    # The filters of warnings belong to the whole process, so the threads must not change them.
    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")
        reasons = list(threads.map(why_unreadable, images))
    return {path: reason for path, reason in zip(images, reasons, strict=True) if reason is not None}
