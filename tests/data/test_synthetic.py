"""The generated tasks: their labels, what the image shows, and that no query can see its answer locally."""

import colorsys

import pytest
import torch
from torch import nn

from wholeframe.data.synthetic import CELL, IGNORE, SIZE, STRIDE, TASKS, gist, places_of_recall, recall
from wholeframe.models.build import BACKBONES

QUERIES = {"recall": 6, "gist": 8}
COUNT = 64


@pytest.fixture(params=TASKS, scope="module")
def task(request):
    return request.param


@pytest.fixture(scope="module")
def made(task):
    return TASKS[task](COUNT, 3)


def at(index: int) -> slice:
    return slice(index - 1, index + 2)


def squares(image):
    """The centres of all markers: the pixels whose eight neighbours are equal, since the background has noise."""
    found = []
    for top in range(0, SIZE, CELL):
        for left in range(0, SIZE, CELL):
            for y in range(top + 1, top + CELL - 1):
                for x in range(left + 1, left + CELL - 1):
                    ring = image[:, at(y), at(x)].flatten(1)[:, [0, 1, 2, 3, 5, 6, 7, 8]]
                    if (ring == ring[:, :1]).all():
                        found.append((y, x))
    return found


def labelled(labels):
    """The cells of one label map with a label."""
    return [tuple(cell) for cell in (labels != IGNORE).nonzero().tolist()]


def test_the_seed_alone_determines_the_images(task, made):
    torch.manual_seed(123)  # The global random state must not matter.
    again, other = TASKS[task](COUNT, 3), TASKS[task](COUNT, 4)
    assert all(torch.equal(first, second) for first, second in zip(made, again, strict=True))
    assert not any(torch.equal(first, second) for first, second in zip(made, other, strict=True))


def test_the_global_random_state_is_left_alone(task):
    state = torch.get_rng_state()
    TASKS[task](2, 0)
    assert torch.equal(state, torch.get_rng_state())


def test_shapes(made):
    images, labels = made
    assert images.shape == (COUNT, 3, SIZE, SIZE) and images.dtype == torch.float32
    assert labels.shape == (COUNT, SIZE // STRIDE, SIZE // STRIDE) and labels.dtype == torch.int64
    assert images.abs().max() < 0.7


def test_exactly_the_queries_are_labelled(task, made):
    _, labels = made
    assert ((labels != IGNORE).sum(dim=(1, 2)) == QUERIES[task]).all()
    assert set(labels.unique().tolist()) == {IGNORE, 0, 1}


def test_both_labels_are_equally_frequent(task):
    _, labels = TASKS[task](500, 0)
    assert labels[labels != IGNORE].float().mean() == pytest.approx(0.5, abs=0.03)


def test_recall_labels_solid_squares_with_the_core_of_their_twin():
    images, labels = recall(16, 0)
    for image, label in zip(images, labels, strict=True):
        centres = squares(image)
        assert len(centres) == 12
        solid = {
            c: image[:, c[0], c[1]] for c in centres if torch.equal(image[:, c[0], c[1]], image[:, c[0] - 1, c[1]])
        }
        assert sorted((y // STRIDE, x // STRIDE) for y, x in solid) == sorted(labelled(label))
        twins = [c for c in centres if c not in solid]
        for (y, x), colour in solid.items():
            (twin,) = [t for t in twins if torch.equal(image[:, t[0] - 1, t[1] - 1], colour)]
            core = image[:, twin[0], twin[1]] + 0.5
            assert core.tolist() == [float(label[y // STRIDE, x // STRIDE])] * 3


def test_hues_of_pairs_are_apart():
    images, labels = recall(16, 1)
    for image, label in zip(images, labels, strict=True):
        colours = [image[:, y, x] + 0.5 for y, x in squares(image) if (y // STRIDE, x // STRIDE) in labelled(label)]
        hues = sorted(colorsys.rgb_to_hsv(*colour.tolist())[0] for colour in colours)
        steps = [after - before for before, after in zip(hues, [*hues[1:], hues[0] + 1], strict=True)]
        assert min(steps) > 1 / 12 - 1e-4


def test_gist_labels_every_marker_by_whether_it_is_brighter_than_the_mean():
    images, labels = gist(16, 0)
    for image, label in zip(images, labels, strict=True):
        centres = squares(image)
        bright = torch.stack([image[:, y, x] for y, x in centres])
        assert (bright == bright[:, :1]).all(), "markers are grey"
        answers = [int(label[y // STRIDE, x // STRIDE]) for y, x in centres]
        assert answers == (bright[:, 0] > bright[:, 0].mean()).long().tolist()
        assert sorted((y // STRIDE, x // STRIDE) for y, x in centres) == sorted(labelled(label))


@pytest.mark.slow
def test_gist_cannot_be_solved_from_one_marker():
    """The same brightness is above the mean in one image and below it in another."""
    images, labels = gist(500, 0)
    brightness = {0: [], 1: []}
    for image, label in zip(images[:100], labels[:100], strict=True):
        for y, x in squares(image):
            brightness[int(label[y // STRIDE, x // STRIDE])].append(float(image[0, y, x]))
    darker, brighter = (torch.tensor(brightness[k]) for k in (0, 1))
    assert (darker > brighter.median()).float().mean() > 0.1 and (brighter < darker.median()).float().mean() > 0.1


def field_of(cell) -> torch.Tensor:
    """The input pixels that one output position of the small dense network depends on."""
    network = BACKBONES["small_dense"](2).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)  # Positive, so that no ReLU blocks a path.
    image = torch.ones(1, 3, SIZE, SIZE, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, :, cell[0], cell[1]].sum(), image)
    return gradient[0].abs().sum(dim=0) > 0


def test_the_receptive_field_is_the_one_computed_by_hand():
    """3 x 3 at strides 1, 2, 1: nine pixels, around twice the cell."""
    seen = field_of((8, 5)).nonzero()
    assert seen.min(dim=0).values.tolist() == [12, 6] and seen.max(dim=0).values.tolist() == [20, 14]


@pytest.mark.slow
def test_no_labelled_position_sees_a_pixel_of_another_marker(made):
    images, labels = made
    fields = {cell: field_of(cell) for cell in {cell for label in labels for cell in labelled(label)}}
    for image, label in zip(images, labels, strict=True):
        centres = squares(image)
        for cell in labelled(label):
            own = [(y, x) for y, x in centres if (y // STRIDE, x // STRIDE) == cell]
            assert len(own) == 1 and fields[cell][at(own[0][0]), at(own[0][1])].all()
            for y, x in centres:
                if (y, x) not in own:
                    assert not fields[cell][at(y), at(x)].any(), f"{cell} sees the marker at {y, x}"


def test_the_places_of_answers():
    """A query and its answer have the same hue, and the core of the answer is the label of the query."""
    images, labels = recall(16, 0)
    (query_y, query_x), (answer_y, answer_x) = (places.unbind(2) for places in places_of_recall(16, 0).unbind(2))
    image = torch.arange(16)[:, None]
    assert torch.equal(images[image, :, query_y, query_x], images[image, :, answer_y, answer_x - 1])
    core = images[image, :, answer_y, answer_x].mean(dim=2) > 0
    assert torch.equal(labels[image, query_y // STRIDE, query_x // STRIDE], core.long())
