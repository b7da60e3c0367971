"""Image files that do not decode."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def truncate():
    """`truncate(path)`: a JPEG with a complete header and incomplete pixels, which only a full decode detects."""

    def make(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])
        return path

    return make


@pytest.fixture(scope="session")
def bomb():
    """`bomb(path, side)`: a PNG whose header announces side x side pixels."""

    def make(path: Path, side: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        pixels = b"IDAT" + zlib.compress(b"")
        chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, pixels)]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        return path

    return make
