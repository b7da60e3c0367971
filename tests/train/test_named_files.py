"""Files that a person names: alone, by their folder, in a list."""

import pytest

from wholeframe.data.image_files import images_among
from wholeframe.train.named_files import files_among


@pytest.fixture
def photos(tmp_path, make_photos):
    """Four images in class folders, a text, and a hidden file."""
    root = make_photos(tmp_path / "photos", count=2)
    (root / "notes.doc").write_text("no image")
    (root / ".hidden.png").write_bytes((root / "cat" / "00.png").read_bytes())
    return root


def test_a_folder_gives_its_images(photos):
    files, notes = files_among([photos / "dog" / "01.png", photos], images_among, "image")
    assert [file.relative_to(photos).as_posix() for file in files] == [
        "dog/01.png",
        "cat/00.png",
        "cat/01.png",
        "dog/00.png",
    ], "each once, in the order of the names"
    assert notes == [f"'{photos}': 4 images; 1 file left out as not images: .doc"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "photos/cat/00.png\n\nphotos/dog/01.png\n"),
        ("l.csv", "label,file\ncat,photos/cat/00.png\ndog,photos/dog/01.png\n"),
        ("l.csv", "photos/cat/00.png,cat\nphotos/dog/01.png,dog\n"),
        ("l.tsv", "\ufeffpath\tlabel\nphotos/cat/00.png\tcat\nphotos/dog/01.png\tdog\n"),
    ],
)
def test_a_list_has_paths_from_its_own_folder(photos, name, text):
    (photos.parent / name).write_text(text, encoding="utf-8")
    files, notes = files_among([photos.parent / name], images_among, "image")
    assert files == [photos / "cat" / "00.png", photos / "dog" / "01.png"] and notes[0].endswith("2 images")


def test_a_list_has_paths_from_the_current_folder_as_well(photos, monkeypatch, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "l.txt").write_text("photos/cat/00.png")
    monkeypatch.chdir(tmp_path)
    files, _ = files_among([tmp_path / "deep" / "l.txt"], images_among, "image")
    assert [str(file) for file in files] == ["photos/cat/00.png"]


def test_names_in_a_list_need_not_be_utf8(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff.png\n")
    files, _ = files_among([tmp_path / "l.txt"], images_among, "image")
    assert files == [tmp_path / "\udcff.png"]


def test_a_folder_that_is_one_sample(photos):
    assert files_among([photos], images_among, "video", whole=lambda folder: True) == ([photos], [])


@pytest.mark.parametrize("text", [None, "", "file,label\n"])
def test_nothing_to_read_is_refused(tmp_path, text):
    path = tmp_path / ("empty" if text is None else "l.csv")
    path.mkdir() if text is None else path.write_text(text)
    with pytest.raises(FileNotFoundError, match=r"has no image; give images, folders of them, or lists"):
        files_among([path], images_among, "image")
