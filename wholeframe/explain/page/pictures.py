"""Pictures inside a page: JPEG of bounded size as text, without the metadata of their files."""

import base64
import io

from PIL import Image

LONGEST = 1024
"""Pixels of the longer side of a photograph."""

LONGEST_FRAME = 448
"""Pixels of the longer side of a frame of a clip, of which there are many."""

QUALITY = 85


def as_text(picture: Image.Image, longest: int) -> str:
    """A picture as a `data:` address, with sides of at most `longest` pixels."""
    small = picture.convert("RGB")
    small.thumbnail((longest, longest))
    file = io.BytesIO()
    # A new image: the comment, the place and the camera that a photograph carries are not copied into the page.
    Image.frombytes(small.mode, small.size, small.tobytes()).save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
