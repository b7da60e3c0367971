"""Caffe2 pickles: video-nonlocal-net, trained and frozen, and PySlowFast's, which have the same names."""

import pickle

import pytest
import torch
from video_layouts import CAFFE2, CAFFE2_8X8, CAFFE2_ORG, SLOWFAST, Layout, Network

import wholeframe as wf
from wholeframe import convert
from wholeframe.blocks import Affine


def name(part, stage=None, index=None, n=None):
    if part in ("conv1", "bn1", "fc"):
        return {"conv1": "conv1", "bn1": "res_conv1_bn", "fc": "pred"}[part]
    if part in ("conv", "bn"):
        return f"res{stage}_{index}_branch2{'abc'[n - 1]}{'_bn' if part == 'bn' else ''}"
    if part.startswith("shortcut"):
        return f"res{stage}_{index}_{part.replace('shortcut', 'branch1')}"
    return f"nonlocal_conv{stage}_{index}_{'bn' if part == 'nl_bn' else part}"


LAYOUT = Layout(name, norm=CAFFE2, layer={"weight": "_w", "bias": "_b"})
BASIC = {"depth": 18, "style": "3x3x3"}


@pytest.fixture
def blobs(tmp_path, monkeypatch, converted):
    """As `converted`, from a pickle of arrays."""

    def convert_and_compare(network, state, bare=False, **options):
        arrays = {key: tensor.numpy() for key, tensor in state.items()}
        content = arrays if bare else {"blobs": arrays}
        monkeypatch.setattr(torch, "save", lambda _, path: path.write_bytes(pickle.dumps(content, protocol=2)))
        return converted(network, state, content, **options)

    return convert_and_compare


@pytest.mark.slow
@pytest.mark.parametrize(("convention", "geometry"), [("caffe2_org", CAFFE2_ORG), ("caffe2", CAFFE2_8X8)])
def test_a_trained_network_of_either_geometry(blobs, convention, geometry):
    network = Network(LAYOUT, geometry, blocks=((3, 1), (4, 1)), **BASIC)
    state = network.state()
    state["pred_w"] = state["pred_w"][:, :, None, None, None]  # as in networks for testing
    found = blobs(network, state, source="video-nonlocal-net", convention=convention, clip=(1, 3, 16, 40, 40))
    assert found.licence == "CC-BY-NC-4.0"


@pytest.mark.slow
def test_a_frozen_network_has_groups_of_four_frames_in_res3(blobs):
    network = Network(LAYOUT, CAFFE2_8X8, blocks=((3, 1), (4, 1)), affine=True, block_bn=False, groups={3: 2}, **BASIC)
    state = network.state()
    found = blobs(network, state, bare=True, convention="caffe2", clip=(1, 3, 16, 40, 40))
    assert isinstance(found.network.bn1, Affine) and found.source == "video-nonlocal-net"
    assert "within groups of 4 frames" in found.report.conventions["non-local block at layer2.1"]
    assert [block.recipe["arguments"]["frames_per_group"] for block in wf.blocks_of(found.network)] == [4, None]


@pytest.mark.slow
def test_a_network_of_slowfast_leaves_the_state_of_its_training(blobs):
    network = Network(LAYOUT, SLOWFAST, blocks=((3, 1),), **BASIC)
    state = network.state()
    extra = {"conv1_w_momentum": torch.zeros(3), "model_iter": torch.zeros(1), "lr": torch.ones(1)}
    found = blobs(network, state | extra, source="slowfast.caffe2")
    assert found.report.left == dict.fromkeys(extra, "state of the training")


def written(tmp_path, keys):
    path = tmp_path / "file.pkl"
    path.write_bytes(
        pickle.dumps({"blobs": {key: torch.zeros(size).numpy() for key, size in keys.items()}}, protocol=2)
    )
    return path


KEYS = {"conv1_w": (4, 3, 5, 7, 7), "res_conv1_bn_s": (4,), "res2_0_branch2a_w": (4, 4, 1, 1, 1)}


def test_names_that_fit_two_sources_ask_for_one(tmp_path):
    path = written(tmp_path, KEYS | {"res_conv1_bn_rm": (4,)})
    with pytest.raises(ValueError, match=r"fit 2 sources: 'video-nonlocal-net', 'slowfast.caffe2'; give source="):
        convert.checkpoint(path)


def test_the_geometry_of_a_released_network_has_to_be_said(tmp_path):
    with pytest.raises(
        ValueError, match=r"needs 'convention', which was not given; give one of 'caffe2_org', 'caffe2'"
    ):
        convert.checkpoint(written(tmp_path, KEYS))


def test_the_second_pathway_is_refused(tmp_path):
    path = written(tmp_path, KEYS | {"res_conv1_bn_rm": (4,), "t_conv1_w": (1, 3, 5, 7, 7)})
    with pytest.raises(ValueError, match=r"'t_conv1_w' of a second pathway"):
        convert.checkpoint(path)


def test_a_network_for_images_is_refused(tmp_path):
    path = written(tmp_path, KEYS | {"conv1_w": (4, 3, 7, 7)})
    with pytest.raises(ValueError, match=r"is a ResNet of Caffe2 \('res2_0_branch2a_w'\) without a block"):
        convert.checkpoint(path, convention="caffe2")
