"""Reading and transforming one image: every mode that Pillow writes, and the ways in which a file is broken."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from wholeframe.data.images import MEAN, STD, ImageDataset, read_image, transforms, whole_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(path: Path, colour=RED, size=(8, 8), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def one_pixel(image: Image.Image) -> tuple[int, ...]:
    assert image.mode == "RGB"
    return tuple(np.asarray(image)[0, 0].tolist())


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "webp", "gif", "ppm", "tga"])
def test_formats(tmp_path, extension):
    options = {"lossless": True} if extension == "webp" else {}
    assert one_pixel(read_image(save(tmp_path / f"a.{extension}", GREEN, **options))) == GREEN


def test_path_may_be_a_string(tmp_path):
    assert one_pixel(read_image(str(save(tmp_path / "a.png", BLUE)))) == BLUE


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black over white
    ],
)
def test_modes(tmp_path, mode, colour, expected):
    Image.new(mode, (4, 4), colour).save(tmp_path / "a.png")
    assert one_pixel(read_image(tmp_path / "a.png")) == expected


@pytest.mark.parametrize(("extension", "dtype"), [("png", "<u2"), ("tif", "<u2"), ("tif", ">u2")])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, extension, dtype):
    values = np.array([[0, 300, 128 << 8, 65535]], dtype=dtype)
    Image.fromarray(values).save(tmp_path / f"a.{extension}")
    assert np.asarray(read_image(tmp_path / f"a.{extension}"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_thirty_two_bits_have_no_known_white(tmp_path, dtype):
    Image.fromarray(np.ones((4, 4), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif' is not .* 32-bit numbers .* save it with 8 or 16 bits"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
def test_palette_with_transparency(tmp_path, transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=transparency)
    assert np.asarray(read_image(tmp_path / "a.png"))[0].tolist() == [list(WHITE), list(BLUE)]


@pytest.mark.parametrize(("mode", "colour"), [("L", 9), ("RGB", RED)])
def test_one_transparent_colour(tmp_path, mode, colour):
    Image.new(mode, (2, 2), colour).save(tmp_path / "a.png", transparency=colour)
    assert one_pixel(read_image(tmp_path / "a.png")) == WHITE


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red, green, blue = one_pixel(read_image(tmp_path / "a.jpg"))
    assert red > 245 and green < 10 and blue < 10


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (32, 16), BLUE)
    image.paste(RED, (0, 0, 16, 16))  # The left half, which is the upper half once rotated.
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.size == (16, 32)
    assert upright.getpixel((8, 2))[0] > 200 and upright.getpixel((8, 29))[2] > 200


def test_damaged_exif_does_not_warn(tmp_path):
    damaged = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 65535)
    path = save(tmp_path / "a.jpg", exif=damaged)
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(path) as image:
        image.getexif()
    assert read_image(path).size == (8, 8)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (GREEN, RED)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert one_pixel(read_image(tmp_path / "a.gif")) == GREEN


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"only words", "cannot identify image file")],
)
def test_file_that_is_not_an_image(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_image(tmp_path / "a.jpg")
    assert str(caught.value) == f"'{tmp_path / 'a.jpg'}' is not an image that can be decoded ({reason})"
    assert caught.value.__cause__ is not None


def test_truncated_file(tmp_path, truncate):
    with pytest.raises(ValueError, match=r"a\.jpg' is not an image .* \(image file is truncated") as caught:
        read_image(truncate(tmp_path / "a.jpg"))
    assert isinstance(caught.value.__cause__, OSError)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*a\.jpg'"):
        read_image(tmp_path / "a.jpg")


def test_decompression_bomb_is_a_value_error(tmp_path, bomb):
    with pytest.raises(ValueError, match=r"a\.png' .* exceeds limit") as caught:
        read_image(bomb(tmp_path / "a.png", 50_000))
    assert isinstance(caught.value.__cause__, Image.DecompressionBombError)


def test_large_image_does_not_warn(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 63)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    assert read_image(path).size == (8, 8)


# ----------------------------------------------------------------------------------------- the data set


def make_items(root: Path) -> list[tuple[Path, int]]:
    return [(save(root / f"{number}.png"), label) for number, label in enumerate((0, 0, 1, 1))]


def test_dataset_in_worker_processes(tmp_path):
    data = ImageDataset(make_items(tmp_path), transforms(16, train=True))
    assert len(data) == 4
    batches = list(DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context="fork"))
    assert batches[0][0].shape == (4, 3, 16, 16) and batches[0][1].tolist() == [0, 0, 1, 1]
    assert len(pickle.loads(pickle.dumps(data))) == 4


def test_dataset_names_a_file_that_broke_later(tmp_path):
    items = make_items(tmp_path)
    items[1][0].write_bytes(b"")
    with pytest.raises(ValueError, match=r"1\.png' is not an image that can be decoded"):
        ImageDataset(items, transforms(16, train=False))[1]


# ------------------------------------------------------------------------------------------- transforms


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (64, 64), (300, 20)])
def test_transforms_of_any_size(train, size):
    tensor = transforms(16, train=train)(Image.new("RGB", size, (255, 0, 128)))
    assert type(tensor) is torch.Tensor and tensor.dtype == torch.float32 and tensor.shape == (3, 16, 16)
    colour = tensor * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    expected = torch.tensor([255, 0, 128])[:, None, None].expand(3, 16, 16) / 255
    torch.testing.assert_close(colour, expected, atol=0.01, rtol=0)


def test_evaluation_takes_the_centre():
    image = Image.new("RGB", (48, 16), RED)
    image.paste(BLUE, (16, 0, 32, 16))
    tensor = transforms(16, train=False)(image)
    blue = (torch.tensor([0.0, 0.0, 1.0]) - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(tensor, blue[:, None, None].expand(3, 16, 16))


def test_training_is_random_and_flip_can_be_turned_off():
    image = Image.new("RGB", (64, 64), RED)
    image.paste(BLUE, (32, 0, 64, 64))  # blue on the right
    torch.manual_seed(0)

    def sides(flip: bool) -> set[bool]:
        made = [transforms(16, train=True, flip=flip)(image) for _ in range(24)]
        return {bool(one[2, :, -1].mean() > one[2, :, 0].mean()) for one in made}

    assert sides(flip=False) == {True}
    assert sides(flip=True) == {True, False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size=0 is not a size in pixels"),
        ({"size": 16, "area": 0}, "area=0 is not a part of an image"),
        ({"size": 16, "area": 1.5}, "area=1.5 is not a part of an image"),
        ({"size": 16, "shorter": 15}, "shorter=15 is smaller than size=16"),
    ],
)
def test_sizes_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        transforms(train=True, **options)


def test_whole_image_is_not_cropped():
    assert whole_image(16)(Image.new("RGB", (48, 32), RED)).shape == (3, 16, 24)


def test_randaugment_is_drawn_from_the_generator_and_off_by_default():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))

    def drawn(seed, **options):
        torch.manual_seed(seed)
        return transforms(32, train=True, **options)(image)

    assert torch.equal(drawn(0, randaugment=2), drawn(0, randaugment=2))
    assert any(not torch.equal(drawn(seed, randaugment=2), drawn(seed)) for seed in range(4))
    assert torch.equal(drawn(0), drawn(0, randaugment=0, magnitude=3))


@pytest.mark.parametrize("options", [{"randaugment": -1}, {"magnitude": 31}, {"magnitude": -1}])
def test_randaugment_that_cannot_be(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        transforms(32, train=True, **options)
