"""Pictures inside a page: bounded, and without the metadata of their files."""

import base64
import io

import numpy as np
from PIL import Image

from wholeframe.explain.page.pictures import as_text


def opened(text):
    kind, data = text.split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_large_photograph_becomes_smaller_and_a_small_one_stays():
    assert opened(as_text(Image.new("RGB", (3000, 1500)), 1024)).size == (1024, 512)
    assert opened(as_text(Image.new("L", (30, 15)), 1024)).size == (30, 15)


def test_the_colours_stay():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = (200, 40, 90)
    back = np.asarray(opened(as_text(Image.fromarray(pixels), 1024))).astype(int)
    assert abs(back - pixels)[:, [*range(28), *range(36, 64)]].max() < 12


def test_metadata_are_left_out():
    picture = Image.new("RGB", (32, 32))
    picture.getexif()[0x010F] = "camera of a person"
    picture.info |= {"comment": b"at home", "icc_profile": b"profile", "exif": b"Exif\x00\x00 place"}
    text = as_text(picture, 1024)
    assert not opened(text).getexif()
    data = base64.b64decode(text.split(",")[1])
    assert not any(word in data for word in (b"camera", b"home", b"profile", b"place"))
