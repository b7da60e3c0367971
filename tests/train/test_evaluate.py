"""`evaluate`: every figure against one computed by hand."""

import pytest
import torch
from torch import nn

from wholeframe.data.video.crops import normalised
from wholeframe.data.video.sampling import Sampling
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.train.evaluate import evaluate, matched, relabelled
from wholeframe.train.inputs.clips import AT_ONCE, Clips
from wholeframe.train.tasks.classification import Classification


class Fixed(nn.Module):
    """Gives its input, which are logits; remembers whether it was evaluating."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.modes = set()

    def forward(self, logits):
        self.modes.add(self.training)
        return logits * self.weight


def batches(logits, labels, size=4):
    return list(zip(logits.split(size), labels.split(size), strict=True))


def test_figures_by_hand():
    #               right       called 1    right       called 2    right
    logits = torch.eye(3)[[0, 1, 1, 2, 2]] * 5
    labels = torch.tensor([0, 0, 1, 1, 2])
    scores = evaluate(Fixed(), batches(logits, labels, 2))
    assert scores.top(1) == pytest.approx(3 / 5) and scores.top(2) < 1 == scores.top(3)
    assert scores.samples().tolist() == [2, 2, 1] and scores.per_class().tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("classes", [6, 10])
def test_top5(classes):
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, classes, generator=draw), torch.randint(classes, (50,), generator=draw)
    scores = evaluate(Fixed(), batches(logits, labels))
    order = logits.argsort(dim=1, descending=True)
    assert scores.top(1) == pytest.approx(float((order[:, 0] == labels).float().mean()))
    assert scores.top(5) == pytest.approx(float((order[:, :5] == labels[:, None]).any(dim=1).float().mean()))
    assert scores.top(1) < scores.top(5) < 1


def test_a_class_without_an_image_has_no_accuracy():
    scores = evaluate(Fixed(), batches(torch.eye(3)[:2], torch.tensor([0, 1])))
    assert scores.per_class()[:2].tolist() == [1, 1] and scores.per_class()[2].isnan()


def test_it_runs_in_eval_mode_without_gradients_and_tells_of_each_batch():
    network, seen = Fixed(), []
    evaluate(network, batches(torch.eye(3), torch.arange(3), 2), after_batch=lambda: seen.append(len(seen)))
    assert network.modes == {False} and seen == [0, 1] and network.weight.grad is None
    assert network.training, "afterwards it is as it was"


def test_classes_are_matched_by_name():
    assert matched(["b", "c"], ["c", "a", "b"]) == [2, 0]
    with pytest.raises(ValueError, match=r"trained on the classes 'a', 'b', and the data also has 'x\\n'; rename or"):
        matched(["a", "x\n"], ["a", "b"])


def test_labels_become_those_of_the_network():
    one = [("samples", torch.tensor([0, 1, -1]))]
    assert [labels.tolist() for _, labels in relabelled(one, [2, 0], 3)] == [[2, 0, -1]]
    many = [("samples", torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, -1.0]]))]
    assert [labels.tolist() for _, labels in relabelled(many, [2, 0], 3)] == [[[0, 0, 1], [1, 0, 1], [-1, -1, -1]]]


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="1 of the 2 predictions are not finite numbers"):
        evaluate(Fixed(), batches(torch.tensor([[0.0, 1], [torch.nan, 0]]), torch.tensor([0, 1])))


# ------------------------------------------------------------------------------------------------------- videos


class Brightness(nn.Module):
    """Logits of a clip: what it shows, and nothing. Remembers how many clips came at once."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.sizes = []

    def forward(self, clips):
        self.sizes.append(len(clips))
        shown = clips.mean(dim=(1, 2, 3, 4)) * self.weight
        return torch.stack([shown, torch.zeros_like(shown)], dim=1)


CLIPS = Clips(Sampling(2, 1), size=64, colours="torchvision")


@pytest.mark.parametrize("labels", ["one", "many"])
def test_probabilities_of_views_are_averaged_and_never_logits(labels):
    levels = torch.tensor([[0, 255, 100], [200, 200, 200]], dtype=torch.uint8)
    views = levels[:, :, None, None, None, None].expand(2, 3, 3, 2, 4, 4)
    p = evaluate(Brightness(), [(views, labels_of(2, labels))], Classification(labels), spec=CLIPS).probabilities
    shown = normalised(views, "torchvision").mean(dim=(2, 3, 4, 5))
    assert p[:, 0].tolist() == pytest.approx(shown.sigmoid().mean(dim=1).tolist())  # softmax of (x, 0) is a sigmoid
    assert float(p[0, 0]) != pytest.approx(float(shown[0].mean().sigmoid()), abs=0.01)


def labels_of(count, labels):
    return torch.zeros(count, dtype=torch.long) if labels == "one" else torch.zeros(count, 2)


def test_many_views_do_not_go_through_at_once():
    network = Brightness()
    views = torch.zeros(1, 2 * AT_ONCE + 1, 3, 1, 2, 2, dtype=torch.uint8)
    evaluate(network, [(views, torch.tensor([0]))], spec=CLIPS)
    assert network.sizes == [AT_ONCE, AT_ONCE, 1]


def test_a_larger_crop_has_several_places():
    """A map of 2 x 3 cells, of which training saw 2 x 2: two places, of which the probabilities are averaged."""
    torch.manual_seed(0)
    network = VideoResNet.like("slowfast", "c2d", 18, 3).eval()
    nn.init.normal_(network.fc.weight)
    view = torch.randint(256, (1, 1, 3, 4, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        cells = network.features(CLIPS.to_input(view[0])).mean(dim=2)
        logits = [network.fc(cells[..., x : x + 2].mean(dim=(2, 3))) for x in (0, 1)]
    expected = torch.stack(logits).softmax(dim=2).mean(dim=0)
    scores = evaluate(network, [(view, torch.tensor([0]))], spec=CLIPS)
    assert torch.allclose(scores.probabilities, expected, atol=1e-6)
