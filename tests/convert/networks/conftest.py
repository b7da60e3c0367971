import pytest
import torch

from wholeframe import convert


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def converted(tmp_path):
    """Write a content, convert the file, and compare with a network of `video_layouts`."""

    def convert_and_compare(network, state, content, source=None, *, clip=(1, 3, 8, 32, 32), **options):
        path = tmp_path / "file.bin"
        torch.save(content, path)
        found = convert.checkpoint(path, source, **options)
        x = torch.randn(clip)
        with torch.no_grad():
            expected, ours = network(state, x), found.network(x)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
        assert set(found.report.loaded.values()) | set(found.report.left) == state.keys()
        assert not found.report.new
        return found

    return convert_and_compare
