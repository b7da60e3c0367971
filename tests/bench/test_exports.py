"""The rows of the table of exports: what a network is exported and timed on."""

import pytest

import wholeframe as wf
from wholeframe.bench.exports import CLIP, example_of, moved
from wholeframe.surgery.placement import CHILD


@pytest.mark.parametrize(("name", "shape"), [("r18_se", (1, 3, 224, 224)), ("c2d_r18", (1, 3, *CLIP))])
def test_images_have_their_published_size_and_clips_one_that_is_quickly_run(name, shape):
    assert example_of(wf.create_model(name, 3)).shape == shape


def test_every_weight_of_every_block_moves():
    network = wf.create_model("r18_se", 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    same = [key for key, value in moved(network).state_dict().items() if value.equal(before[key])]
    assert same and not [key for key in same if f".{CHILD}." in key]
