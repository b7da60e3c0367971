"""COCO's files: what is read, what is left out and said, what is refused."""

import json

import pytest
from PIL import Image

from wholeframe.data.detection.coco_format import read_coco


def annotation(number, **fields):
    return {
        "id": number,
        "image_id": 1,
        "category_id": 7,
        "bbox": [2, 3, 10, 8],
        "area": 80,
        "iscrowd": 0,
        "segmentation": [[2, 3, 12, 3, 12, 11, 2, 11]],
        **fields,
    }


@pytest.fixture
def write(tmp_path):
    """`write(annotation, ...)`: a file of two images of 20 x 16 pixels; keywords replace its tables."""

    def write(*annotations, **tables):
        for name in ("a.png", "b.png"):
            Image.new("RGB", (20, 16)).save(tmp_path / name)
        content = {
            "images": [{"id": k, "file_name": n, "width": 20, "height": 16} for k, n in ((1, "a.png"), (2, "b.png"))],
            "categories": [{"id": 91, "name": "dog"}, {"id": 7, "name": "cat"}],
            "annotations": list(annotations),
            **tables,
        }
        file = tmp_path / "instances.json"
        file.write_text(json.dumps(content))
        return file, tmp_path

    return write


def test_categories_with_gaps(write):
    found = read_coco(*write(annotation(1), annotation(2, category_id=91, image_id=2)))
    assert (found.classes, found.category_ids) == (("cat", "dog"), (7, 91))
    assert [[i.label for i in picture.instances] for picture in found.pictures] == [[1], [2]]
    first = found.pictures[0].instances[0]
    assert (first.box, first.segmentation, first.area) == ((2, 3, 12, 11), ((2, 3, 12, 3, 12, 11, 2, 11),), 80)
    assert found.masks and not found.account.cases


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bbox": [2, 3, 0, 8]}, "box without area"),
        ({"bbox": [2, 3, -4, 8]}, "box without area"),
        ({"bbox": [30, 3, 4, 8]}, "outside its image"),
        ({"bbox": [float("nan"), 3, 4, 8]}, "box without area"),
        ({"bbox": [2, 3, 4]}, "without a box of four numbers"),
        ({"bbox": ["2", 3, 4, 8]}, "without a box of four numbers"),
        ({"category_id": 80}, "category 80 that the file does not list"),
        ({"category_id": None}, "category None that the file does not list"),
        ({"image_id": 5}, "of an image that the file does not list"),
        ({"segmentation": [[2, 3, 12, 3]]}, "polygon of fewer than three points"),
        ({"keypoints": [1, 2, 2]}, "keypoints that are not 0 times"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_said(write, fields, reason):
    found = read_coco(*write(annotation(1), annotation(2, **fields)))
    assert [i.id for picture in found.pictures for i in picture.instances] == [1]
    ((kind, places),) = found.account.cases.items()
    assert reason in kind and "annotation 2" in places[0] and f"1 x {kind}" in found.describe()


def test_a_box_over_the_edge_is_cut(write):
    found = read_coco(*write(annotation(1, bbox=[-5, 3, 100, 8])))
    assert found.pictures[0].instances[0].box == (0, 3, 20, 11)
    assert "reaches over the edge" in found.describe()


def test_numbers_that_are_used_twice_are_replaced(write):
    found = read_coco(*write(annotation(4), annotation(4), annotation(None), annotation(5)))
    numbers = [i.id for i in found.pictures[0].instances]
    assert numbers[0] == 4 and len(set(numbers)) == 4 and "2 x number of an annotation" in found.describe()


def test_images_that_are_not_there(write):
    extra = {"id": 3, "file_name": "lost.png", "width": 5, "height": 5}
    file, folder = write(annotation(1), annotation(2, image_id=3))
    content = json.loads(file.read_text())
    content["images"] += [extra, {**extra, "id": 1, "file_name": "b.png"}]
    file.write_text(json.dumps(content))
    found = read_coco(file, folder)
    assert [p.id for p in found.pictures] == [1, 2] and found.instances == 1
    assert found.account.cases["image that is not on disk, left out"] == ["lost.png"]
    assert "used twice (1)" in found.describe()


def test_a_crowd_and_an_encoded_mask(write):
    coded = {"size": [16, 20], "counts": [0, 320]}
    (found,) = read_coco(*write(annotation(1, iscrowd=1, segmentation=coded))).pictures[0].instances
    assert found.crowd and found.segmentation == coded


def test_keypoints(write):
    persons = [{"id": 1, "name": "person", "keypoints": ["left_eye", "right_eye"]}]
    good = annotation(1, category_id=1, keypoints=[3, 4, 2, 0, 0, 0])
    found = read_coco(*write(good, annotation(2, category_id=1, keypoints=[1, 2, 2]), categories=persons))
    (instance,) = found.pictures[0].instances
    assert found.keypoints == ("left_eye", "right_eye") and instance.keypoints == ((3, 4, 2), (0, 0, 0))


def test_a_file_without_annotations_is_said(write):
    assert "without any annotation" in read_coco(*write()).describe()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not a JSON file"),
        ("[]", "is a list"),
        ('[{"image_id": 1, "score": 0.5}]', "list of results"),
        ("7", "has no images and no annotations and no categories"),
        ('{"images": [], "annotations": [{"caption": "a cat"}]}', r"no categories \(it has captions\)"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no categories"),
        ('{"images": [1], "annotations": [], "categories": []}', "has 1 among its images"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', "a category has a number"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "number 1 to the categories 'a' and 'b'",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}',
            "several categories that are called 'a'",
        ),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "none of the 0 images"),
    ],
)
def test_other_files_are_refused(tmp_path, content, reason):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=reason):
        read_coco(file, tmp_path)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"categories": [{"id": True, "name": "a"}]}, "a number `id` and a `name`"),
        ({"categories": [{"id": 1, "name": " "}]}, "a number `id` and a `name`"),
        ({"categories": [{"id": 7, "name": "a", "keypoints": "nose"}]}, "list of different names"),
        ({"categories": [{"id": 7, "name": "a", "keypoints": ["b", "b"]}]}, "list of different names"),
        ({"categories": [{"id": 5, "name": "__background__"}]}, "no categories of objects"),
        ({"images": [{"id": "one", "file_name": "a.png", "width": 20, "height": 16}]}, "without a whole number `id`"),
        ({"images": [{"id": 1, "file_name": "a.png", "width": "20", "height": 16}]}, "without a width and a height"),
        ({"images": [{"id": 1, "file_name": ["a.png"], "width": 20, "height": 16}]}, "without a `file_name`"),
        ({"annotations": [annotation(1, bbox=None)]}, "none of the 1 annotations .* can be used"),
        ({"annotations": [annotation(1, image_id=[1])]}, "none of the 1 annotations .* can be used"),
        (
            {"annotations": [{"id": 1, "image_id": 1, "category_id": 7, "caption": "a cat"}]},
            "has captions, and no boxes",
        ),
        ({"annotations": [{"image_id": 1, "segments_info": []}]}, "has panoptic segments, and no boxes"),
    ],
)
def test_tables_of_which_nothing_can_be_used(write, tables, reason):
    with pytest.raises(ValueError, match=reason):
        read_coco(*write(annotation(1), **tables))


def test_numbers_that_are_written_with_a_point(write):
    """As pandas writes them."""
    found = read_coco(*write(annotation(1.0, image_id=1.0, category_id=7.0)))
    assert found.pictures[0].instances[0].id == 1 and found.instances == 1 and not found.account.cases


@pytest.mark.parametrize("value", [[], {}, "1", float("nan"), True, 10**400, 1.5, None])
def test_references_of_any_type(write, value):
    """A list cannot be looked up, and True is equal to 1."""
    annotations = [annotation(1), annotation(2, image_id=value), annotation(3, category_id=value), annotation(value)]
    found = read_coco(*write(*annotations))
    assert [i.id for i in found.pictures[0].instances][:1] == [1] and found.instances == 2
    assert sorted(map(len, found.account.cases.values())) == [1, 1, 1]


def test_categories_without_objects(write):
    """Roboflow lists a group, labelme the background."""
    group = {"id": 0, "name": "cat", "supercategory": "none"}
    categories = [group, {"id": 7, "name": "cat", "supercategory": "cat"}, {"id": 8, "name": "_background_"}]
    found = read_coco(*write(annotation(1), categories=categories))
    assert (found.classes, found.category_ids) == (("cat",), (7,))
    assert "1 x category without annotations that groups others" in found.describe()
    assert "1 x category of the background, left out (_background_)" in found.describe()
    with pytest.raises(ValueError, match="several categories that are called 'cat'"):
        read_coco(*write(annotation(1, category_id=0), annotation(2), categories=categories))


def test_masks_of_a_part_of_the_objects_are_said(write):
    found = read_coco(*write(annotation(1), annotation(2, segmentation=[])))
    assert not found.masks
    assert found.account.cases == {
        "object without a mask where others have one, so that no masks are used": ["annotation 2 of a.png"]
    }


def test_one_file_as_two_images(write):
    images = [{"id": k, "file_name": "a.png", "width": 20, "height": 16} for k in (1, 2)]
    found = read_coco(*write(annotation(1), images=images))
    assert len(found.pictures) == 2 and "1 x file that is listed as several images" in found.describe()


def test_names_with_folders(write, tmp_path):
    images = [{"id": 1, "file_name": "C:\\photos\\a.png", "width": 20, "height": 16}]
    found = read_coco(*write(annotation(1), images=images))
    assert found.pictures[0].file == tmp_path / "a.png" and "found by its end (C:\\photos\\a.png)" in found.describe()


def test_an_account_is_text_of_one_line(write):
    """Names from the file are not commands for a terminal, and a damaged file has no thousand reasons."""
    found = read_coco(*write(annotation(1), *[annotation(k, category_id=f"\x1b[2J\n{k}") for k in range(2, 90)]))
    text = found.describe()
    assert text.isprintable() and "and 68 more" in text and len(text) < 5000


def test_images_in_another_folder(write, tmp_path):
    file, _ = write(annotation(1))
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=r"none of the 2 images .*a\.png.* is in the folder"):
        read_coco(file, tmp_path / "other")
