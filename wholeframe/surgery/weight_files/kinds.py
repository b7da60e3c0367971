"""What a file is that holds no weights which are read here, and what to do with it."""

from pathlib import Path

from wholeframe.messages import listed, shown

GIVE = "give a file of safetensors or of `torch.save`"

HEADS = {
    b"\x1f\x8b": "is compressed by gzip; unpack it with `gunzip` and give the file of weights in it",
    b"BZh": "is compressed by bzip2; unpack it with `bunzip2` and give the file of weights in it",
    b"\xfd7zXZ\x00": "is compressed by xz; unpack it with `unxz` and give the file of weights in it",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; unpack it with `unzstd` and give the file of weights in it",
    b"7z\xbc\xaf": "is an archive of 7-Zip; unpack it with `7z x` and give the file of weights in it",
    b"Rar!": "is an archive of RAR; unpack it with `unrar x` and give the file of weights in it",
    b"version https://git-lfs": "is a pointer of Git LFS, and the weights are elsewhere; `git lfs pull` fetches them",
    b"\x89HDF": f"is an HDF5 file, as Keras writes it; {GIVE}",
    b"\x93NUMPY": f"is one array of numpy without a name; {GIVE}",
    b"GGUF": f"is a GGUF file of a language model; {GIVE}",
    b"MATLAB": f"is a file of MATLAB; {GIVE}",
    b"%PDF": f"is a PDF document; {GIVE}",
    b"\x89PNG": f"is an image; {GIVE}",
    b"\xff\xd8\xff": f"is an image; {GIVE}",
}
"""The first bytes of formats, and the end of a sentence that begins with the name of the file."""

WEB_PAGE = "is a web page, which a server sends instead of a file that it lacks or protects; download the file again"

PROTOBUF = "and its weights have no names of torch; give the file that it was made from, of safetensors or `torch.save`"

WEIGHTS = {".bin", ".ckpt", ".pkl", ".pt", ".pth", ".pyth", ".safetensors"}


def kind_of(path: Path, head: bytes) -> str:
    """What a file is by its first 512 bytes: the end of a sentence that begins with its name."""
    if not head:
        return f"holds no weights, or is damaged (it is empty); {GIVE}"
    for start, words in HEADS.items():
        if head.startswith(start):
            return words
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return WEB_PAGE
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it with `tar -xf` and give the file of weights in it"
    if head[4:8] == b"TFL3":
        return f"is a model of TensorFlow Lite; {GIVE}"
    if b"tensorflow" in text or path.suffix == ".pb":
        return f"is a graph of TensorFlow, {PROTOBUF}"
    if path.suffix == ".caffemodel":
        return f"is a model of Caffe 1, {PROTOBUF}"
    if path.suffix == ".onnx" or (head[:1] == b"\x08" and head[1] < 32 and head[2:3] in (b"\x12", b":")):
        return f"is a model of ONNX, {PROTOBUF}"
    if not head.strip(b"\0"):
        return "holds zeros, as an interrupted download leaves them; download the file again"
    if text.startswith((b"{", b"[")):
        return f"is text in JSON; {GIVE}"
    return f"holds no weights, or is damaged; {GIVE}"


def kind_of_folder(path: Path) -> str:
    """What to give instead of a folder."""
    inside = sorted(entry.name for entry in path.iterdir() if entry.suffix in WEIGHTS)
    found = f"one of its files: {listed(map(shown, inside))}" if inside else "a file of weights"
    return f"is a folder; give {found}"
