"""Images from folders: every mode Pillow writes, every way a file is broken, every layout that is refused."""

import os
import pickle
import struct
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from wholeframe.data import image_folder
from wholeframe.data.image_folder import open_folder
from wholeframe.data.images import MEAN, STD, ImageDataset, read_image, transforms

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(path: Path, colour=RED, size=(8, 8), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def break_off(path: Path) -> Path:
    """A JPEG whose header is whole and whose pixels are not: only a full decode finds out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    return path


def make_folder(root: Path, **classes: int) -> Path:
    for name, count in classes.items():
        for number in range(count):
            save(root / name / f"{number:03}.png")
    return root


def make_split(root: Path, train=("cat", "dog"), test=("cat", "dog"), test_name="test") -> Path:
    make_folder(root / "train", **dict.fromkeys(train, 2))
    make_folder(root / test_name, **dict.fromkeys(test, 1))
    return root


def names(items, root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path, _ in items]


# ------------------------------------------------------------------------------------------- one image


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
    image.paste(RED, (0, 0, 16, 16))  # the left half, which is the upper half once turned
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
def test_file_that_is_no_image(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_image(tmp_path / "a.jpg")
    assert str(caught.value) == f"'{tmp_path / 'a.jpg'}' is not an image that can be decoded ({reason})"
    assert caught.value.__cause__ is not None


def test_truncated_file(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg' is not an image .* \(image file is truncated") as caught:
        read_image(break_off(tmp_path / "a.jpg"))
    assert isinstance(caught.value.__cause__, OSError)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*a\.jpg'"):
        read_image(tmp_path / "a.jpg")


def bomb(path: Path, side: int) -> Path:
    """A PNG whose header announces side x side pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, pixels)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def test_decompression_bomb_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"a\.png' .* exceeds limit") as caught:
        read_image(bomb(tmp_path / "a.png", 50_000))
    assert isinstance(caught.value.__cause__, Image.DecompressionBombError)


def test_large_image_does_not_warn(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 63)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    assert read_image(path).size == (8, 8)


# ------------------------------------------------------------------------------------- a whole folder


@pytest.mark.parametrize("test_name", ["test", "val", "valid", "validation", "Testing"])
def test_folder_that_is_split(tmp_path, test_name):
    folder = open_folder(make_split(tmp_path, test_name=test_name))
    assert folder.classes == ("cat", "dog")
    assert names(folder.train, tmp_path) == [f"train/{n}/00{i}.png" for n in ("cat", "dog") for i in (0, 1)]
    assert [label for _, label in folder.train] == [0, 0, 1, 1]
    assert names(folder.val, tmp_path) == [f"{test_name}/cat/000.png", f"{test_name}/dog/000.png"]
    assert folder.test == ()
    said = f"4 train and 2 val images of 2 classes (split by the folders train/ and {test_name}/)"
    warning = f"; validated on {test_name}/: the best checkpoint is then chosen on it"
    assert folder.describe() == (said + warning if "est" in test_name else said)


def test_folder_may_be_a_string(tmp_path):
    assert len(open_folder(str(make_split(tmp_path))).train) == 4


def test_unlabelled_test_beside_labelled_val(tmp_path):
    make_split(tmp_path, test_name="val")
    save(tmp_path / "test" / "1.png")
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["val/cat/000.png", "val/dog/000.png"]
    assert folder.unused == ("test",)
    assert str(folder).endswith("; not looked into: test/")


def test_train_val_and_test(tmp_path):
    make_split(tmp_path, test_name="val")
    make_folder(tmp_path / "test", cat=3)
    (tmp_path / "test" / "cat" / "bad.png").touch()
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["val/cat/000.png", "val/dog/000.png"]
    assert names(folder.test, tmp_path) == [f"test/cat/00{number}.png" for number in range(3)]
    assert str(folder) == (
        "4 train, 2 val and 3 test images of 2 classes (split by the folders train/, val/ and test/); 1 file skipped: "
        "'test/cat/bad.png' is not an image that can be decoded (the file is empty); no test image of 'dog'"
    )


def test_test_with_other_folders_than_classes_has_no_labels(tmp_path):
    make_split(tmp_path, test_name="val")
    save(tmp_path / "test" / "images" / "1.png")
    assert open_folder(tmp_path).test == () and open_folder(tmp_path).unused == ("test",)


def test_val_without_class_folders_leaves_validation_to_test(tmp_path):
    save(make_split(tmp_path) / "val" / "1.png")
    folder = open_folder(tmp_path)
    assert names(folder.val, tmp_path) == ["test/cat/000.png", "test/dog/000.png"] and folder.test == ()
    assert str(folder).endswith("; not looked into: val/; validated on test/: the best checkpoint is then chosen on it")


@pytest.mark.parametrize("split", ["val", "test"])
def test_unknown_classes_among_known_ones(tmp_path, split):
    make_split(tmp_path, test_name="val")
    make_folder(tmp_path / "test", cat=1)
    save(tmp_path / split / "emu" / "1.png")
    assert f"{split}' has class folders that are not among those to train on: 'emu'" in refused(tmp_path)


def test_own_split_is_stratified_and_deterministic(tmp_path):
    root = make_folder(tmp_path, cat=9, dog=20, emu=2)
    folder = open_folder(root, val_fraction=0.3)
    assert Counter(label for _, label in folder.train) == {0: 6, 1: 14, 2: 1}
    assert Counter(label for _, label in folder.val) == {0: 3, 1: 6, 2: 1}
    assert not set(folder.train) & set(folder.val)
    assert open_folder(root, val_fraction=0.3) == folder
    assert open_folder(root, val_fraction=0.3, seed=1).val != folder.val
    assert "(val_fraction=0.3 of each class held out, seed=0)" in str(folder)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_own_split_leaves_no_class_without_images(tmp_path, fraction):
    folder = open_folder(make_folder(tmp_path, cat=3, dog=3), val_fraction=fraction)
    assert {label for _, label in folder.train} == {label for _, label in folder.val} == {0, 1}


def test_own_split_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    here = make_folder(tmp_path / "here", cat=9, dog=9)
    there = tmp_path / "there"
    for number in reversed(range(9)):
        save(there / "dog" / f"{number:03}.png")
        save(there / "cat" / f"{number:03}.png")
    expected = open_folder(here)
    listing, walk = Path.iterdir, os.walk
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(sorted(listing(path))))
    monkeypatch.setattr(
        os,
        "walk",
        lambda *args, **options: ((a, b, sorted(c, reverse=True)) for a, b, c in walk(*args, **options)),
    )
    moved = open_folder(there)
    assert names(moved.train, there) == names(expected.train, here)
    assert names(moved.val, there) == names(expected.val, here)


def test_own_split_is_this_one_on_every_machine(tmp_path):
    folder = open_folder(make_folder(tmp_path, cat=10, dog=5))
    assert names(folder.val, tmp_path) == ["cat/000.png", "cat/001.png", "dog/002.png"]


def test_a_new_image_moves_at_most_one_other(tmp_path):
    before = open_folder(make_folder(tmp_path, cat=20, dog=20))
    save(tmp_path / "cat" / "new.png")
    after = open_folder(tmp_path)
    moved = (set(before.val) ^ set(after.val)) - {(tmp_path / "cat" / "new.png", 0)}
    assert len(moved) <= 1


def test_what_is_looked_into(tmp_path):
    root = make_folder(tmp_path, cat=2, dog=2)
    save(root / "cat" / "kittens" / "grey" / "a.PNG")
    for hidden in (".git/a.png", "cat/._000.png", "cat/.cache/a.png", "loose.png"):
        save(root / hidden)
    for other in ("cat/DATA.md", "cat/Thumbs.db", "dog/LICENSE", "dog/a.pdf", "README.md"):
        (root / other).write_text("words")
    folder = open_folder(root, val_fraction=0.5)
    found = sorted(names(folder.train + folder.val, root))
    assert found == ["cat/000.png", "cat/001.png", "cat/kittens/grey/a.PNG", "dog/000.png", "dog/001.png"]
    assert [path.as_posix() for path in folder.not_images] == [
        "cat/DATA.md",
        "cat/Thumbs.db",
        "dog/LICENSE",
        "dog/a.pdf",
    ]
    assert "; 4 files ignored as not images: .db, .md, .pdf, no extension" in str(folder)


def test_links_are_followed_once(tmp_path):
    root = make_folder(tmp_path / "root", cat=2, dog=2)
    make_folder(tmp_path / "elsewhere", more=3)
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more", target_is_directory=True)
    (root / "dog" / "again").symlink_to(root / "dog", target_is_directory=True)
    folder = open_folder(root)
    assert Counter(label for _, label in folder.train + folder.val) == {0: 5, 1: 2}


def test_labels_are_sorted_as_torchvision_sorts_them(tmp_path):
    assert open_folder(make_folder(tmp_path, **{"10": 2, "2": 2, "A": 2, "a": 2})).classes == (
        "10",
        "2",
        "A",
        "a",
    )


def test_class_without_test_images_is_reported(tmp_path):
    folder = open_folder(make_split(tmp_path, train=("cat", "dog", "emu"), test=("dog",)))
    assert [label for _, label in folder.val] == [1]
    assert str(folder).endswith(
        "; no val image of 'cat', 'emu'; validated on test/: the best checkpoint is then chosen on it"
    )


# --------------------------------------------------------------------------------------- broken files


def make_broken(root: Path) -> Path:
    make_split(root)
    (root / "train" / "cat" / "words.jpg").write_text("words")
    (root / "train" / "dog" / "empty.png").touch()
    break_off(root / "test" / "dog" / "half.jpg")
    bomb(root / "test" / "dog" / "bomb.png", 50_000)
    (root / "test" / "dog" / "link.png").symlink_to(root / "gone.png")
    return root


def test_broken_files_are_left_out_and_named(tmp_path):
    folder = open_folder(make_broken(tmp_path))
    assert len(folder.train) == 4 and len(folder.val) == 2
    reasons = {problem.path.as_posix(): problem.reason for problem in folder.problems}
    assert list(reasons) == [
        "train/cat/words.jpg",
        "train/dog/empty.png",
        "test/dog/bomb.png",
        "test/dog/half.jpg",
        "test/dog/link.png",
    ]
    assert reasons["train/cat/words.jpg"] == "cannot identify image file"
    assert reasons["train/dog/empty.png"] == "the file is empty"
    assert reasons["test/dog/half.jpg"].startswith("image file is truncated")
    assert "exceeds limit" in reasons["test/dog/bomb.png"]
    assert reasons["test/dog/link.png"] == "No such file or directory"
    assert (
        "; 5 files skipped: 'train/cat/words.jpg' is not an image that can be decoded "
        "(cannot identify image file), 'train/dog/empty.png'"
    ) in str(folder)


def test_a_long_list_is_cut_short(tmp_path):
    make_split(tmp_path)
    for number in range(8):
        (tmp_path / "train" / "cat" / f"bad{number}.jpg").touch()
    folder = open_folder(tmp_path)
    assert len(folder.problems) == 8
    assert (
        "bad4.jpg" in str(folder) and "bad5.jpg" not in str(folder) and " and 3 more; validated on test/" in str(folder)
    )


def test_strict_raises(tmp_path):
    with pytest.raises(ValueError, match=r"has 5 files that cannot be used: 'train/cat/words\.jpg' is not"):
        open_folder(make_broken(tmp_path), strict=True)


def test_strict_is_content_with_whole_files(tmp_path):
    assert open_folder(make_split(tmp_path), strict=True).problems == ()


def test_a_warning_is_no_problem(tmp_path):
    damaged = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 65535)
    save(make_split(tmp_path) / "train" / "cat" / "a.jpg", exif=damaged)
    assert open_folder(tmp_path, strict=True).problems == ()


def test_opening_leaves_warnings_as_they_were(tmp_path):
    before = list(warnings.filters)
    open_folder(make_broken(tmp_path))
    assert warnings.filters == before


# -------------------------------------------------------------------------------------- what is refused


def refused(root: Path, error: type[Exception] = ValueError, **options) -> str:
    with pytest.raises(error) as caught:
        open_folder(root, **options)
    return str(caught.value)


def test_missing_root(tmp_path):
    message = refused(tmp_path / "gone", FileNotFoundError)
    assert message.startswith(f"there is no folder '{tmp_path / 'gone'}'") and "ROOT/train/cat" in message


def test_root_is_a_file(tmp_path):
    message = refused(save(tmp_path / "a.png"), NotADirectoryError)
    assert "a.png' is a file, not a folder" in message and "ROOT/cat/1.jpg" in message


def test_empty_root(tmp_path):
    message = refused(tmp_path)
    assert "has no class folders, and no images either" in message and "ROOT/cat" in message


def test_flat_root(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "DATA.md").write_text("words")
    assert "has no class folders, and 1 image directly in it" in refused(tmp_path)


def test_no_images_in_class_folders(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("words")
    assert "has class folders, but no image in any of them" in refused(tmp_path)


def test_one_class(tmp_path):
    message = refused(make_folder(tmp_path, cat=3))
    assert "has one class folder, 'cat', and it takes two at least" in message and "mean" not in message


def test_one_folder_too_high(tmp_path):
    make_split(tmp_path / "pets")
    assert f"Did you mean '{tmp_path / 'pets'}', which has 'test', 'train'?" in refused(tmp_path)


@pytest.mark.parametrize("split", [False, True])
def test_class_without_images(tmp_path, split):
    root = make_split(tmp_path) if split else make_folder(tmp_path, cat=3, dog=3)
    place = root / "test" if split else root
    for image in (place / "dog").iterdir():
        image.write_bytes(b"")
    message = refused(root)
    assert message.startswith(f"no image that can be used in '{place / 'dog'}'")
    assert "dog/000.png' is not an image that can be decoded (the file is empty)" in message


def test_empty_class_folder(tmp_path):
    root = make_folder(tmp_path, cat=2, dog=2)
    (root / "__MACOSX").mkdir()
    assert refused(root) == (
        f"no image that can be used in '{root / '__MACOSX'}'. Add images to the class folder, or remove it"
    )


def test_train_without_test(tmp_path):
    make_folder(tmp_path / "train", cat=2, dog=2)
    message = refused(tmp_path)
    assert "has train/, but no val/, valid/ or test/ to validate on" in message
    assert f"open '{tmp_path / 'train'}' instead" in message and "ROOT/val/cat" in message


def test_test_without_train(tmp_path):
    make_folder(tmp_path / "val", cat=2, dog=2)
    assert "has val/, but no train/ to train on" in refused(tmp_path)


def test_split_without_class_folders(tmp_path):
    save(tmp_path / "train" / "cat.1.png")
    save(tmp_path / "test" / "1.png")
    assert "train' has no class folders, and 1 image directly in it" in refused(tmp_path)


def test_test_without_class_folders(tmp_path):
    make_folder(tmp_path / "train", cat=2, dog=2)
    save(tmp_path / "test" / "1.png")
    assert "test' has no class folders" in refused(tmp_path)


def test_unknown_test_classes(tmp_path):
    message = refused(make_split(tmp_path, test=("cat", "Dog")))
    assert "test' has class folders that are not among those to train on: 'Dog'." in message
    assert "Those to train on are 'cat', 'dog'" in message


def test_one_image_cannot_be_split(tmp_path):
    message = refused(make_folder(tmp_path, cat=2, dog=1))
    assert message.startswith("class 'dog' has one image") and "dog/000.png" in message


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 20, float("nan")])
def test_fraction(tmp_path, fraction):
    message = refused(make_folder(tmp_path, cat=2, dog=2), val_fraction=fraction)
    assert message.startswith(f"val_fraction={fraction} is not between 0 and 1")


# --------------------------------------------------------------------------------------- to the network


def test_dataset_through_worker_processes(tmp_path):
    folder = open_folder(make_split(tmp_path))
    data = ImageDataset(folder.train, transforms(16, train=True))
    assert len(data) == 4
    batches = list(DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context="fork"))
    assert batches[0][0].shape == (4, 3, 16, 16) and batches[0][1].tolist() == [0, 0, 1, 1]
    assert len(pickle.loads(pickle.dumps(data))) == 4


def test_dataset_names_a_file_that_broke_since(tmp_path):
    folder = open_folder(make_split(tmp_path))
    folder.val[1][0].write_bytes(b"")
    with pytest.raises(ValueError, match=r"dog/000\.png' is not an image that can be decoded"):
        ImageDataset(folder.val, transforms(16, train=False))[1]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (64, 64), (300, 20)])
def test_transforms_of_any_size(train, size):
    tensor = transforms(16, train=train)(Image.new("RGB", size, (255, 0, 128)))
    assert type(tensor) is torch.Tensor and tensor.dtype == torch.float32 and tensor.shape == (3, 16, 16)
    colour = tensor * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    expected = torch.tensor([255, 0, 128])[:, None, None].expand(3, 16, 16) / 255
    torch.testing.assert_close(colour, expected, atol=0.01, rtol=0)


def test_testing_takes_the_centre():
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


def test_size_must_be_positive():
    with pytest.raises(ValueError, match=r"size=0 is no size of an image"):
        transforms(0, train=True)


def test_extensions_are_those_of_images():
    extensions = image_folder._image_extensions()
    assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".webp", ".ppm", ".mpo"} <= extensions
    assert not extensions & {".pdf", ".eps", ".mpg", ".h5", ".txt", ".md", ".db", ""}
