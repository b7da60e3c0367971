import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Maps of a few numbers: starting threads would take longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
