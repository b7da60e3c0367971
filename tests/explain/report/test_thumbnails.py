"""The size of pictures in a report is bounded, however many there are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from wholeframe.explain.report import thumbnails as module
from wholeframe.explain.report.content import Picture
from wholeframe.explain.report.thumbnails import ALL, EACH, thumbnails


def noise(file, side):
    pixels = np.random.default_rng(0).integers(0, 256, (side, 2 * side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return Picture(file.stem, file, "noise")


def size_of(address):
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return image.size


def test_a_small_picture_keeps_its_size(tmp_path):
    ((_, address, wide),) = thumbnails([noise(tmp_path / "a.png", 40)])
    assert address.startswith("data:image/jpeg;base64,") and size_of(address) == (80, 40) and not wide


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("count", [1, 40])
def test_all_pictures_together_are_bounded(tmp_path, count):
    """Noise is the worst case of a JPEG."""
    found = thumbnails([noise(tmp_path / f"{n}.png", 300) for n in range(count)])
    lengths = [len(each.address) for each in found]
    assert all(0 < length <= EACH for length in lengths) and sum(lengths) <= ALL
    assert size_of(found[0][1])[0] < 600


def test_a_picture_that_fits_in_no_size_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EACH", 100)
    assert [each.address for each in thumbnails([noise(tmp_path / "a.png", 300)])] == [""]


def test_a_picture_that_changed_is_read_again(tmp_path):
    picture = noise(tmp_path / "a.png", 40)
    before = thumbnails([picture])
    noise(tmp_path / "a.png", 60)
    assert size_of(thumbnails([picture])[0][1]) == (120, 60) != size_of(before[0][1])


def test_a_film_has_a_row_of_its_own(tmp_path):
    Image.new("RGB", (400, 100)).save(tmp_path / "film.png")
    assert thumbnails([Picture("film", tmp_path / "film.png", "frames")])[0].wide
