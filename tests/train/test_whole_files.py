"""Files are replaced as a whole; a full disk leaves the file before it, and says so."""

import errno
import os
import resource

import pytest
import torch

from wholeframe.train.checkpoints import WholeFiles, read_checkpoint
from wholeframe.train.whole_files import digest, digest_of, replaced, unwritten, write_json, write_text


def test_a_file_is_replaced_at_the_end(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "one")
    with replaced(file) as part:
        part.write_text("two")
        assert file.read_text() == "one"
    assert file.read_text() == "two" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_file_before(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "one")
    with pytest.raises(KeyError), replaced(file) as part:
        part.write_text("half")
        raise KeyError
    assert file.read_text() == "one" and os.listdir(tmp_path) == ["a.txt"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    file, order = tmp_path / "a.txt", []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append(file.exists()), sync(descriptor)))
    write_text(file, "one")
    assert order == [False, True], "the content first, then its name in the folder"


def test_a_full_disk(tmp_path):
    """A limit on the size of files gives the error that a full disk gives."""
    file = tmp_path / "last.ckpt"
    content = {"epoch": 0, "global_step": 1}
    WholeFiles().save_checkpoint({"state_dict": {"a": torch.ones(2)}, **content}, file)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"last\.ckpt' cannot be written \(file too large\); the file before"):
            WholeFiles().save_checkpoint({"state_dict": {"a": torch.ones(20_000)}, **content}, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(read_checkpoint(file)["state_dict"]["a"], torch.ones(2))
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "progress.json"]


@pytest.mark.parametrize(
    ("number", "way"),
    [(errno.ENOSPC, "no space left on device"), (errno.EDQUOT, "free some space"), (errno.EACCES, "another path")],
)
def test_the_sentence(tmp_path, number, way):
    told = str(unwritten(tmp_path / "a", OSError(number, os.strerror(number))))
    assert way in told and "the file before it" not in told and str(tmp_path / "a") in told


def test_a_folder_without_the_right_to_write(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.chmod(tmp_path.parent.parent, 0o755)
            os.setuid(65534)  # Root may write everywhere.
        try:
            write_json(folder / "a.json", {})
        except OSError as error:
            os._exit(0 if "cannot be written" in str(error) or "Permission" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_names_that_are_not_unicode(tmp_path):
    write_text(tmp_path / "a.csv", "caf\udce9\n")
    assert (tmp_path / "a.csv").read_bytes() == b"caf\xe9\n"
    assert digest(tmp_path / "a.csv") == digest_of("caf\udce9\n")
