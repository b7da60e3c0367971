"""Networks that PyTorchVideo builds, converted from their files."""

import pytest
import torch
from torch import nn

from wholeframe import convert

_reason = "uv sync --extra tools installs pytorchvideo"
create_nonlocal = pytest.importorskip("pytorchvideo.layers.nonlocal_net", reason=_reason).create_nonlocal
create_resnet = pytest.importorskip("pytorchvideo.models.resnet", reason=_reason).create_resnet

I3D = {
    "stem_conv_kernel_size": (5, 7, 7),
    "stage1_pool": nn.MaxPool3d,
    "stage_conv_a_kernel_size": ((3, 1, 1), [(3, 1, 1), (1, 1, 1)], [(3, 1, 1), (1, 1, 1)], [(1, 1, 1), (3, 1, 1)]),
}


def randomised(network):
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("options", [I3D, {"stem_conv_kernel_size": (1, 7, 7)}], ids=["i3d", "slow"])
@pytest.mark.parametrize("blocks", [False, True])
def test_a_network_of_pytorchvideo(tmp_path, options, blocks):
    torch.manual_seed(0)
    head = {"head_pool_kernel_size": (4 if options is I3D else 8, 2, 2)}
    network = create_resnet(model_depth=50, model_num_class=7, **options, **head)
    if blocks:
        stage = network.blocks[3 if options is I3D else 2].res_blocks
        stage[1] = nn.Sequential(stage[1], create_nonlocal(dim_in=512, dim_inner=256, pool_size=(1, 2, 2)))
        stage.append(create_nonlocal(dim_in=512, dim_inner=128, pool_size=(1, 2, 2)))
    randomised(network)
    torch.save({"model_state": network.state_dict()}, tmp_path / "a.pyth")
    found = convert.checkpoint(tmp_path / "a.pyth", pool=(1, 2, 2))
    clip = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        expected = network(clip)
        torch.testing.assert_close(found.network(clip), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert set(found.blocks) == ({"layer2.1", "layer2.3"} if blocks else set())
