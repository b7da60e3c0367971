import pytest


@pytest.fixture
def unchecked(request):
    """Left out of the run with the shape checker, which refuses an unknown name before the block can say why."""
    if request.config.getoption("jaxtyping_packages"):
        pytest.skip("the shape checker refuses first")
