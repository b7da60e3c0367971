"""segmentation-models-pytorch and MONAI: decoders with narrow maps, in two and three dimensions."""

import copy

import pytest
import torch

import wholeframe as wf


def unet_of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch", reason="uv sync --extra tools installs it")
    model = smp.Unet("resnet18", encoder_weights=None, classes=3)
    return model, ["encoder.layer3", "decoder.blocks.[1-4]"], (2, 3, 64, 64)


def unet_of_monai_2d():
    nets = pytest.importorskip("monai.networks.nets", reason="uv sync --extra tools installs monai")
    model = nets.BasicUNet(spatial_dims=2, in_channels=1, out_channels=3, features=(16, 16, 32, 64, 64, 16))
    return model, ["down_2", "upcat_2", "upcat_1"], (2, 1, 64, 64)


def unet_of_monai_3d():
    nets = pytest.importorskip("monai.networks.nets", reason="uv sync --extra tools installs monai")
    model = nets.BasicUNet(spatial_dims=3, in_channels=1, out_channels=3, features=(16, 16, 32, 64, 64, 16))
    return model, ["down_2", "upcat_2", "upcat_1"], (2, 1, 32, 32, 32)


HOSTS = [unet_of_smp, unet_of_monai_2d, unet_of_monai_3d]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.mark.parametrize("block", ["gc", "se", "cgnl"])
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_blocks_at_maps_of_every_width_train(host, block, tmp_path):
    """One insert over maps of 16 to 256 channels: nothing is refused, and every weight of every block moves."""
    model, at, shape = host()
    report = wf.insert(model, wf.BLOCKS[block].make, at=at, example=torch.zeros(1, *shape[1:]))
    assert report.unchanged or not wf.BLOCKS[block].make(32).identity_at_init  # SE halves the map at the start
    assert len(report.rows) >= len(at)
    start = {name: p.detach().clone() for name, p in model.named_parameters() if ".wholeframe." in name}
    optimiser, x = torch.optim.Adam(model.parameters(), lr=1e-3), torch.randn(shape)
    for _ in range(5):
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()
    still = [name for name, p in model.named_parameters() if name in start and torch.equal(p, start[name])]
    assert not [name for name in still if not name.endswith("logits.bias")]

    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = copy.deepcopy(model)
    wf.reset_blocks(other)
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    with torch.no_grad():
        assert torch.equal(other.eval()(x), model.eval()(x))
