"""Other files are named, with what to do."""

import bz2
import gzip
import io
import lzma
import tarfile

import numpy as np
import pytest
import torch

from wholeframe.surgery.state_files import read_content


def saved(write, *content):
    stream = io.BytesIO()
    write(stream, *content)
    return stream.getvalue()


def tar(stream):
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))


WEIGHTS = saved(lambda stream: torch.save({"w": torch.ones(2)}, stream))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.pth", "it is empty"),
        (bytes(1000), "a.pth", "holds zeros, as an interrupted download leaves them"),
        (gzip.compress(WEIGHTS), "a.pth", "is compressed by gzip; unpack it with `gunzip`"),
        (bz2.compress(WEIGHTS), "a.pth", "is compressed by bzip2"),
        (lzma.compress(WEIGHTS), "a.pth", "is compressed by xz"),
        (saved(tar), "a.pth.tar", "is a tar archive; unpack it with `tar -xf`"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a.pth", "`git lfs pull` fetches them"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "a.pth", "is a web page"),
        (b"<HTML><body>404", "a.pth", "is a web page"),
        (b'<?xml version="1.0"?><Error>', "a.pth", "is a web page"),
        (b'{"weight_map": {}}', "a.pth", "is text in JSON"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "a.h5", "is an HDF5 file, as Keras writes it"),
        (saved(np.save, np.ones(3)), "a.npy", "is one array of numpy"),
        (saved(lambda stream: np.savez(stream, w=np.ones(3))), "a.pth", "is an archive of numpy"),
        (saved(lambda stream: np.savez_compressed(stream, w=np.ones(3))), "a.npz", "is an archive of numpy"),
        (b"\x08\x08\x12\x07pytorch\x1a\x032.0", "a.pth", "is a model of ONNX"),
        (b"\x1c\x00\x00\x00TFL3", "a.pth", "is a model of TensorFlow Lite"),
        (b"\x08\x01\x12\x20tensorflow", "a.pth", "is a graph of TensorFlow"),
        (b"\x0a\x09ResNet-50", "a.caffemodel", "is a model of Caffe 1"),
        (b"GGUF\x03", "a.bin", "is a GGUF file"),
        (b"\x89PNG\r\n\x1a\n", "a.pth", "is an image"),
        (b"nothing of the kind", "a.pth", "holds no weights, or is damaged"),
        (np.random.default_rng(1).bytes(1000), "a.pth", "holds no weights, or is damaged"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else "content"
    ),  # that of gzip has the time, which workers differ in
)
def test_other_formats(refused, content, name, words):
    assert words in refused(content, name)


def test_a_model_of_torchscript(refused):
    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    with pytest.warns(FutureWarning, match="jit"):
        program = saved(lambda stream: torch.jit.save(torch.jit.script(Double()), stream))
    assert "is a TorchScript program" in refused(program)


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="' is a folder; give a file of weights"):
        read_content(tmp_path)
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "README").touch()
    with pytest.raises(ValueError, match=r"' is a folder; give one of its files: model.safetensors"):
        read_content(tmp_path)
    with pytest.raises(ValueError, match="there is no file"):
        read_content(tmp_path / "none")
