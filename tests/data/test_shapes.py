"""The shapes of the embedded detection task: masks, boxes and keypoints agree, and the partner alone names a disc."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from wholeframe.data.detection.masks import mask_of
from wholeframe.data.shapes import (
    CELL,
    CLASSES,
    CORE,
    KEYPOINTS,
    OWN,
    PAIRS,
    PARTNERED,
    SIZE,
    Shapes,
    box_of,
    draw_scene,
)


@pytest.fixture(scope="module", params=range(6))
def scene(request):
    return draw_scene(7, request.param)


def test_the_seed_and_the_number_alone_decide_an_image():
    np.random.seed(1)
    torch.manual_seed(1)
    image, target = Shapes(3, 5)[2]
    again, same = Shapes(9, 5)[2]
    assert torch.equal(image, again) and torch.equal(target["masks"], same["masks"])
    assert not torch.equal(image, Shapes(3, 6)[2][0]) and not torch.equal(image, Shapes(3, 5)[1][0])


def test_a_sample_is_what_detectors_take():
    image, target = Shapes(2, 0)[1]
    n = 2 * PAIRS
    assert image.shape == (3, SIZE, SIZE) and image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    assert {name: tuple(value.shape) for name, value in target.items() if name != "image_id"} == {
        "boxes": (n, 4),
        "labels": (n,),
        "masks": (n, SIZE, SIZE),
        "keypoints": (n, len(KEYPOINTS), 3),
    }
    assert (
        target["image_id"] == 1 and target["labels"].dtype == torch.int64 and target["keypoints"].dtype == torch.float32
    )
    with pytest.raises(IndexError, match="there is no image 2 of 2"):
        Shapes(2, 0)[2]


def test_boxes_are_those_of_the_masks():
    _, target = Shapes(4, 0)[3]
    for box, mask in zip(target["boxes"], target["masks"], strict=True):
        y, x = mask.nonzero().T
        assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= SIZE and box[3] <= SIZE


def test_shapes_do_not_touch(scene):
    masks = scene.masks().astype(int)
    assert masks.sum(axis=0).max() == 1
    boxes = np.array([box_of(mask) for mask in masks])
    centres = (boxes[:, :2] + boxes[:, 2:]) // 2 // CELL
    assert len({tuple(centre) for centre in centres}) == 2 * PAIRS, "one shape in a cell"


def test_keypoints_are_pixels_of_their_shape_at_its_edges(scene):
    for mask, points in zip(scene.masks(), scene.keypoints(), strict=True):
        x1, y1, x2, _ = box_of(mask)
        assert (points[:, 2] == 2).all()
        (top, left, right) = points[:, :2].tolist()
        assert (top[1], left[0], right[0]) == (y1 + 0.5, x1 + 0.5, x2 - 0.5)
        assert all(mask[int(y), int(x)] for x, y in (top, left, right))


def test_partners_have_one_hue_and_are_far_apart(scene):
    image, masks = scene.image(scene.masks()), scene.masks()
    reach = np.stack(np.mgrid[:SIZE, :SIZE])[:, None] - scene.centres.T[:, :, None, None]
    around = masks & (abs(reach).max(axis=0) > CORE)  # The discs have no core, and the same colour everywhere.
    colours = np.array([image[:, mask].mean(axis=1) for mask in around])
    assert np.allclose(colours[:PAIRS], colours[PAIRS:])
    discs = colours[:PAIRS]
    assert min(abs(a - b).max() for i, a in enumerate(discs) for b in discs[:i]) > 0.1, "no two pairs are alike"
    cells = scene.centres // CELL
    assert (abs(cells[:PAIRS] - cells[PAIRS:]).max(axis=1) >= 2).all()
    hues = sorted(scene.hues)
    assert min(b - a for a, b in pairwise([*hues, hues[0] + 1])) > 0.5 / PAIRS - 1e-9


def test_the_core_of_the_partner_decides_the_label_of_a_disc_and_nothing_near_it(scene):
    """So that the label of a disc is not determined without the partner: the same pixels have either label."""
    for pair in range(PAIRS):
        other = dataclasses.replace(scene, bright=flipped(scene.bright, pair))
        assert np.flatnonzero(scene.labels != other.labels).tolist() == [pair]
        assert {CLASSES[k - 1] for k in (scene.labels[pair], other.labels[pair])} == set(PARTNERED)
        changed = (scene.image(scene.masks()) != other.image(other.masks())).any(axis=0)
        rows, columns = np.nonzero(changed)
        reach = abs(np.stack([rows, columns]) - scene.centres[PAIRS + pair][:, None]).max()
        assert reach == CORE, "only the core of the partner looks different"


def test_the_form_of_a_partner_decides_its_own_label_alone(scene):
    for pair in range(PAIRS):
        other = dataclasses.replace(scene, triangles=flipped(scene.triangles, pair))
        assert np.flatnonzero(scene.labels != other.labels).tolist() == [PAIRS + pair]
        assert {CLASSES[k - 1] for k in (scene.labels[PAIRS + pair], other.labels[PAIRS + pair])} == set(OWN)


def flipped(truth, index):
    return np.where(np.arange(len(truth)) == index, 1 - truth, truth)


def test_the_cores_and_forms_of_an_image_are_independent():
    scenes = [draw_scene(0, index) for index in range(500)]
    drawn = np.concatenate([np.stack([s.bright for s in scenes]), np.stack([s.triangles for s in scenes])], axis=1)
    assert np.corrcoef(drawn.T) == pytest.approx(np.eye(2 * PAIRS), abs=0.2)
    assert drawn.mean(axis=0) == pytest.approx(0.5, abs=0.1)


def test_annotations_are_the_samples():
    shapes = Shapes(3, 2)
    annotations = shapes.annotations
    assert annotations.classes == CLASSES and annotations.keypoints == KEYPOINTS and annotations.masks
    for picture, (_, target) in zip(annotations.pictures, (shapes[i] for i in range(3)), strict=True):
        assert picture.id == target["image_id"]
        for number, instance in enumerate(picture.instances):
            assert instance.label == target["labels"][number] and list(instance.box) == target["boxes"][number].tolist()
            assert (mask_of(instance, SIZE, SIZE) == target["masks"][number].numpy()).all()
            assert instance.area == target["masks"][number].sum()
            assert [list(point) for point in instance.keypoints] == target["keypoints"][number].tolist()
