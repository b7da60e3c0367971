"""A small residual network with running statistics."""

import pytest
import torch
from surgery_models import IMAGE, Net


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    model = Net()
    model(IMAGE)  # running statistics that are not those of the start
    return model
