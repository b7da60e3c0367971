"""What `insert` puts into a model, and where."""

import pytest
import torch
import torchvision
from surgery_models import IMAGE, Holder, Net, Same, give, refuses
from torch import Tensor, nn

from wholeframe.surgery.insert import insert, remove
from wholeframe.surgery.sites import sites


def test_block_becomes_a_child_and_old_keys_stay(net: Net):
    before, keys = give(net, IMAGE), list(net.state_dict())
    report = insert(net, Same, at="layer1.1", example=IMAGE)
    assert isinstance(net.layer1[1].wholeframe, Same)
    assert [key for key in net.state_dict() if key in keys] == keys
    assert set(net.state_dict()) - set(keys) == {"layer1.1.wholeframe.out.weight"} == set(report.parameter_names)
    assert torch.equal(give(net, IMAGE), before)


def test_block_gets_the_output_of_its_site_and_replaces_it(net: Net):
    class Zero(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            self.seen = x
            return torch.zeros_like(x)

    sums = []
    net.layer2[0].bn2.register_forward_hook(lambda _module, _args, output: sums.append(output))
    insert(net, Zero, at="layer2.0.bn2", example=IMAGE)
    sums.clear()
    give(net, IMAGE)
    assert torch.equal(net.layer2[0].bn2.wholeframe.seen, sums[0])
    through = give(net.layer2[0], torch.rand(1, 4, 5, 5))
    assert through.shape == (1, 4, 5, 5)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(give(net.layer2[0], x), x)  # relu(0 + x): the block runs before the sum


def test_blocks_train(net: Net):
    report = insert(net, Same, at=["layer1.*", "neck"], example=IMAGE)
    net(IMAGE).square().sum().backward()
    parameters = dict(net.named_parameters())
    assert len(report.parameter_names) == 3
    for name in report.parameter_names:
        gradient = parameters[name].grad
        assert gradient is not None and gradient.abs().max() > 0


def test_a_shared_module_with_two_names_gets_one_block():
    model = Holder(nn.Conv2d(3, 3, 1))
    model.alias = model.inner
    report = insert(model, Same, at=["alias", "inner"], example=IMAGE)
    assert [row.site for row in report.rows] == ["inner"]
    assert [site.name for site in sites(model, IMAGE)] == ["inner"]
    assert remove(model, at="alias") == ["alias"]
    assert not model.inner._forward_hooks


def test_device_dtype_and_training_flag_are_those_of_the_site(net: Net):
    net.double().train()
    net.layer1.eval()
    insert(net, Same, at=["layer1.0", "layer2.0", "neck"], example=IMAGE.double())  # neck ends in Dropout: no weights
    blocks = [net.layer1[0].wholeframe, net.layer2[0].wholeframe, net.neck[1][1].wholeframe]
    assert [block.out.weight.dtype for block in blocks] == [torch.float64] * 3
    assert [block.training for block in blocks] == [False, True, True]
    assert [block.out.training for block in blocks] == [False, True, True]


@pytest.mark.parametrize("grid", [(9,), (5, 7), (2, 3, 4)])
def test_any_rank(grid: tuple[int, ...]):
    conv = [nn.Conv1d, nn.Conv2d, nn.Conv3d][len(grid) - 1](2, 6, 1)
    model = nn.ModuleDict({"conv": conv})
    model.forward = lambda x: model["conv"](x)
    report = insert(model, Same, at="conv", example=torch.randn(2, 2, *grid))
    assert (report.rows[0].channels, report.rows[0].grid) == (6, grid)


@pytest.mark.slow
def test_a_detector():
    torch.manual_seed(0)
    small = {"min_size": 64, "max_size": 64, "rpn_post_nms_top_n_test": 20}
    sure = {"box_score_thresh": 0.0, "box_detections_per_img": 5}  # a network without training still detects something
    build = torchvision.models.detection.maskrcnn_resnet50_fpn
    model = build(weights=None, weights_backbone=None, **small, **sure).eval()
    image = torch.rand(3, 64, 64)
    before = give(model, [image])[0]
    assert len(before["scores"]) == 5  # something to compare
    report = insert(model, Same, at="backbone.body.layer[12].*.bn3", example=([image],))
    assert len(report.rows) == 7 and report.unchanged
    after = give(model, [image])[0]
    assert all(torch.equal(before[key], after[key]) for key in before)
    refuses(model, "(Conv2d) runs 5 times", at="rpn.head.cls_logits", example=([image],))
    refuses(model, "returns a tuple of 2", at="rpn.head", example=([image],))
    refuses(model, "returns a OrderedDict of 5", at="backbone", example=([image],))
    assert len(remove(model, at="backbone.body.layer1.*.bn3")) == 3
