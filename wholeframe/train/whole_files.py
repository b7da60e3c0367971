"""Text and JSON that are written completely or not at all, and the checksums of files."""

import hashlib
import json
from pathlib import Path

from wholeframe.store.replaced import FULL, replaced, unwritten

__all__ = ["FULL", "digest", "digest_of", "json_text", "replaced", "unwritten", "write_json", "write_text"]


def write_text(file: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with replaced(file) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")


def write_json(file: Path, content: object) -> None:
    """Write a JSON file completely or not at all."""
    write_text(file, json_text(content))


def json_text(content: object) -> str:
    """The text of a JSON file."""
    return json.dumps(content, indent=2) + "\n"


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
