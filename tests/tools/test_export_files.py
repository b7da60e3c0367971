"""`wf.export` to ONNX and OpenVINO: free sizes, what the file says, and torchvision's detectors."""

import json

import pytest
import torch
from torch import nn
from torchvision.models import detection

import wholeframe as wf

onnx = pytest.importorskip("onnx", reason="uv sync --extra tools installs onnx")
pytest.importorskip("onnxscript", reason="uv sync --extra tools installs onnxscript")
runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")

IMAGES = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def make(block="gsop_position", pool=(2, 3)):
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(pool), nn.Flatten(), nn.LazyLinear(4)
    )
    network(IMAGES)
    wf.insert(network, wf.BLOCKS[block].make, at="1", example=IMAGES)
    return network.eval()


def test_onnx_with_free_sizes_says_what_it_is(moved, tmp_path, monkeypatch):
    """The pooling of the block and the one of the network have sizes of their own, which the exporter would freeze."""
    network, threads, open_session = moved(make()), [], runtime.InferenceSession

    def noted(file, options, **more):
        threads.append(options.intra_op_num_threads)
        return open_session(file, options, **more)

    monkeypatch.setattr(runtime, "InferenceSession", noted)
    done = wf.export(network, tmp_path / "net.onnx", IMAGES, classes=list("abcd"), mean=[0.5] * 3, std=[0.2] * 3)
    model = onnx.load(done.path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == list("abcd") and json.loads(said["std"]) == [0.2] * 3
    assert {entry.version for entry in model.opset_import if entry.domain == ""} == {done.opset}
    assert threads == [torch.get_num_threads()]  # by default every core of the machine
    session = open_session(done.path, providers=["CPUExecutionProvider"])
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert given.name == "images" and given.shape == ["batch", 3, "height", "width"] and answer.name == "output"
    x = torch.randn(4, 3, 17, 90)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(session.run(None, {"images": x.numpy()})[0]), network(x))
    assert list(tmp_path.iterdir()) == [done.path]


@pytest.mark.parametrize("attend_over", ["space", "time"])
def test_a_map_that_shrinks_to_one_frame_has_free_sizes(attend_over, tmp_path):
    block = wf.NonLocal(8, attend_over=attend_over, init="random")
    network = nn.Sequential(nn.Conv3d(3, 8, 3, stride=(4, 2, 2), padding=1), nn.MaxPool3d(2), block).eval()
    done = wf.export(network, tmp_path / "net.onnx", torch.randn(1, 3, 8, 32, 48))
    assert done.input[1] == ("batch", 3, "time", "height", "width") and done.error < 1e-4


def test_openvino_is_a_folder_in_float32(moved, tmp_path):
    openvino = pytest.importorskip("openvino", reason="uv sync --extra tools installs openvino")
    network = moved(make("nl_concatenation"))
    done = wf.export(network, tmp_path / "net", IMAGES, classes=list("abcd"))
    assert {file.name for file in done.path.iterdir()} == {"model.xml", "model.bin"}
    assert any("every query with every key" in note for note in done.notes) and "bfloat16" in str(done)
    model = openvino.Core().read_model(done.path / "model.xml")
    assert json.loads(model.get_rt_info(["wholeframe", "classes"]).astype(str)) == list("abcd")
    assert done.error < 1e-4 and len(done.compared) == 3
    assert "is replaced" in str(wf.export(network, tmp_path / "net", IMAGES))


@pytest.mark.parametrize("block", ["gc", "gsop_channel"])
def test_a_detector_finds_the_same_objects_at_three_sizes(block, moved, tmp_path):
    backbone = nn.Sequential(nn.Conv2d(3, 16, 3, stride=8, padding=1), nn.ReLU())
    backbone.out_channels = 16  # pyright: ignore[reportAttributeAccessIssue]
    anchors = detection.anchor_utils.AnchorGenerator(((32, 64),), ((0.5, 1.0, 2.0),))
    network = detection.MaskRCNN(
        backbone, 3, min_size=96, max_size=128, rpn_anchor_generator=anchors, box_score_thresh=0.0,
        rpn_pre_nms_top_n_test=40, rpn_post_nms_top_n_test=10, box_detections_per_img=5,
    ).eval()  # fmt: skip
    wf.insert(network, wf.BLOCKS[block].make, at="backbone.1", example=([torch.rand(3, 96, 128)],))
    moved(network)
    done = wf.export(network, tmp_path / "detector.onnx", torch.rand(3, 96, 128), classes=["cat", "dog"])
    assert done.outputs == ("boxes", "labels", "scores", "masks") and done.input == ("image", (3, "height", "width"))
    assert len({one.shape for one in done.compared}) == 3 and all(one.found for one in done.compared)
    network.roi_heads.score_thresh = 1.0
    said = wf.export(network, tmp_path / "detector.onnx", torch.rand(3, 96, 128)).notes
    assert any("no object was found" in note for note in said) and any("is replaced" in note for note in said)
