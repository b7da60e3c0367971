"""ultralytics: the whole life of a detector with blocks. Each step uses the file that the training left."""

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

import wholeframe as wf

ultralytics = pytest.importorskip("ultralytics", reason="uv sync --extra tools installs ultralytics")

from ultralytics.utils import USER_CONFIG_DIR  # noqa: E402

AT = ["model.6", "model.9"]
SIDE = 64
BLOCKS = {"GlobalContext": wf.GlobalContext, "CGNL": wf.CGNL}
BASES = {"yolo11n.yaml": 499, "yolov8n.yaml": 355}  # keys of the state dict without blocks

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:(torch|ultralytics)"),  # of its schedules and of the tracer
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def weights_of_blocks(model):
    """A copy of the parameters of the inserted blocks."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if ".wholeframe." in name}


@pytest.fixture(scope="session")
def trainer_with(recipe):
    """`trainer_with(block)`: the trainer of docs/howto/tools.md, with this block."""

    def define(block):
        names = {}
        exec(recipe("DetectionTrainer").replace("wf.GlobalContext", f"wf.{block.__name__}"), names)
        return names["Trainer"]

    return define


def placed(model):
    """The sites of a network that have a block and the hook that runs it."""
    found = []
    for name, module in model.named_modules():
        if type(module) in BLOCKS.values():
            site = name.removesuffix(".wholeframe")
            found += [site] if model.get_submodule(site)._forward_hooks else []
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight images for training and eight for validation: one square on noise in each."""
    root = tmp_path_factory.mktemp("squares")
    shutil.copy(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), USER_CONFIG_DIR / "Arial.ttf")
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
            pixels[16:48, 16:48] = (200, 20 * number, 50)
            Image.fromarray(pixels).save(root / "images" / split / f"{number}.png")
            (root / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    file = root / "data.yaml"
    file.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: {{0: square}}\n")
    return file


def options(data, folder):
    small = dict(imgsz=SIDE, batch=4, epochs=2, device="cpu", workers=0, optimizer="AdamW", weight_decay=0.0, seed=0)
    steps = dict(nbs=4, warmup_epochs=0, lr0=0.001)  # one step for each batch of four, at the full rate from the first
    quiet = dict(plots=False, verbose=False, exist_ok=True)
    return dict(data=str(data), project=str(folder), name="run", **small, **steps, **quiet)


@pytest.fixture(scope="module", params=BLOCKS)
def life(request, data, trainer_with, tmp_path_factory):
    """(block, the detector after two epochs, the blocks' weights before them)."""
    block, start = BLOCKS[request.param], {}
    yolo = ultralytics.YOLO("yolo11n.yaml")
    yolo.add_callback("on_train_start", lambda trainer: start.update(weights_of_blocks(trainer.model)))
    yolo.train(trainer=trainer_with(block), **options(data, tmp_path_factory.mktemp("runs")))
    return block, yolo, start


@pytest.fixture
def trained(life):
    return ultralytics.YOLO(str(life[1].trainer.last))


def test_training_moves_every_weight_of_the_blocks(life):
    _, yolo, start = life
    assert placed(yolo.trainer.model) == AT
    assert placed(yolo.model) == AT, "the file of the best weights"
    end = weights_of_blocks(yolo.trainer.model)
    still = {name for name in start if torch.equal(start[name], end[name])}
    assert start
    assert {name for name in still if not name.endswith("logits.bias")} == set(), "a softmax ignores a bias, only that"


def test_a_saved_file_has_the_blocks(trained):
    assert placed(trained.model) == AT
    wf.verify(trained.model, torch.zeros(1, 3, SIDE, SIDE))


@pytest.mark.parametrize(("file", "keys"), BASES.items())
def test_all_old_weights_are_kept(data, trainer_with, tmp_path, file, keys):
    """The trainer starts from a file of weights without blocks, and all of them arrive."""
    before = ultralytics.YOLO(file)
    old = before.model.state_dict()
    assert len(old) == keys
    trainer = trainer_with(wf.GlobalContext)(overrides={**options(data, tmp_path), "model": file})
    model = trainer.get_model(before.model.yaml, weights=before.model, verbose=False)
    loaded = model.state_dict()
    head = {key for key in old if loaded[key].shape != old[key].shape}  # one class instead of 80
    assert old.keys() <= loaded.keys() and all(key.startswith("model.2") for key in head)
    assert not [key for key in old.keys() - head if not torch.equal(old[key], loaded[key])]


def test_resuming_keeps_the_blocks_and_their_weights(life, data, trainer_with, tmp_path):
    """A training of three epochs is stopped after the first, and another trainer continues it from its file."""
    block = life[0]
    stopped = {**options(data, tmp_path), "epochs": 3}
    yolo = ultralytics.YOLO("yolo11n.yaml")
    yolo.add_callback("on_fit_epoch_end", lambda trainer: setattr(trainer, "stop", True))
    yolo.add_callback("on_model_save", lambda trainer: shutil.copy(trainer.last, tmp_path / "stopped.pt"))
    yolo.train(trainer=trainer_with(block), **stopped)

    seen = {}
    again = ultralytics.YOLO(str(tmp_path / "stopped.pt"))
    saved = {key: value.float() for key, value in again.model.state_dict().items()}

    def at_start(trainer):
        seen.update({key: value.clone() for key, value in trainer.ema.ema.state_dict().items()})
        seen["epoch"] = trainer.start_epoch

    again.add_callback("on_train_start", at_start)
    again.train(trainer=trainer_with(block), resume=True)
    assert seen.pop("epoch") == 1
    blocks = [key for key in saved if "wholeframe" in key and saved[key].is_floating_point()]
    assert blocks and not [key for key in blocks if not torch.equal(seen[key].float(), saved[key])]
    assert placed(again.model) == AT


def test_validation_keeps_the_blocks(trained, data):
    trained.val(data=str(data), imgsz=SIDE, batch=4, device="cpu", workers=0, plots=False)
    assert placed(trained.model) == AT


def test_fuse_keeps_the_blocks_and_the_output(trained, moved):
    model, x = moved(trained.model).eval(), torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        before = model(x)[0]
        after = model.fuse()(x)[0]
    assert placed(model) == AT
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))


def test_prediction_runs_the_blocks(trained, count):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    trained.predict(image, imgsz=SIDE, device="cpu", verbose=False)
    assert placed(trained.predictor.model.model) == AT

    runs = count(trained.predictor.model.model, image, lambda x: trained.predict(x, imgsz=SIDE, verbose=False))
    assert runs == len(AT)


@pytest.fixture
def exported(trained, moved, tmp_path):
    """`exported(**options)`: the file of an export, and the network in eval mode."""

    def export(**options):
        moved(trained.model)
        expected = trained.model.eval()
        torch.save({"model": expected, "train_args": {}}, tmp_path / "moved.pt")
        return Path(ultralytics.YOLO(tmp_path / "moved.pt").export(device="cpu", **options)), expected

    return export


def boxes(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_torchscript_export(exported):
    file, network = exported(format="torchscript", imgsz=SIDE)
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        boxes(torch.jit.load(file)(x), network(x)[0])


@pytest.mark.parametrize("side", [SIDE, 96, 160])
def test_onnx_export_at_another_size(exported, side):
    runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
    file, network = exported(format="onnx", imgsz=SIDE, dynamic=True, simplify=False)
    x = torch.rand(2, 3, side, side)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        boxes(torch.from_numpy(session.run(None, {"images": x.numpy()})[0]), network(x)[0])


def test_openvino_export(exported):
    openvino = pytest.importorskip("openvino", reason="uv sync --extra tools installs openvino")
    folder, network = exported(format="openvino", imgsz=SIDE)
    x = torch.rand(1, 3, SIDE, SIDE)
    compiled = openvino.compile_model(next(folder.glob("*.xml")), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        boxes(torch.from_numpy(compiled(x.numpy())[0]), network(x)[0])


# -------------------------------------------------------------------------------------------------- what would be lost


def test_the_default_trainer_rebuilds_the_network_and_verify_says_so(data, tmp_path):
    yolo = ultralytics.YOLO("yolo11n.yaml")
    wf.insert(yolo.model, wf.GlobalContext, at=AT, example=torch.zeros(1, 3, SIDE, SIDE))
    blocks = wf.blocks_of(yolo.model)
    yolo.train(**{**options(data, tmp_path), "epochs": 1})
    assert placed(yolo.model) == []
    with pytest.raises(ValueError, match=r"model\.6"):
        wf.verify(yolo.model, blocks=blocks)


def test_fuse_removes_a_block_at_a_batch_norm_and_verify_says_so():
    model = ultralytics.YOLO("yolo11n.yaml").model.eval()
    wf.insert(model, wf.GlobalContext, at=["model.6.cv2.bn", "model.9"], example=torch.zeros(1, 3, SIDE, SIDE))
    model.fuse()
    with pytest.raises(ValueError, match=r"model\.6\.cv2\.bn"):
        wf.verify(model)
