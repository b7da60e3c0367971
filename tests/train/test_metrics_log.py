"""A resumed run starts with the rows that were logged before its checkpoint."""

import pytest

from wholeframe.train.metrics_log import MetricsRecord, logged

TABLE = "epoch,step,train/loss\n0,1,0.5\n0,3,0.25\n1,5,0.125\n"


def test_the_rows_are_those_of_the_checkpoint(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text(TABLE)
    checkpoint = {"global_step": 6, "callbacks": {"MetricsRecord": MetricsRecord(file).state_dict()}}
    for content in (b"", b"epoch\n9", b"\xff\xfe\x00", TABLE.encode()[:-3]):
        file.write_bytes(content)
        assert [row["step"] for row in logged(checkpoint, file)] == ["1", "3", "5"]
    file.unlink()
    assert len(logged(checkpoint, file)) == 3


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_checkpoint_of_an_earlier_version(tmp_path, cut):
    """Rows up to the checkpoint are read from the table; one that is cut is left out, or lost digits of its end."""
    file = tmp_path / "metrics.csv"
    file.write_text(TABLE[: len(TABLE) - cut])
    assert [row["train/loss"] for row in logged({"global_step": 4}, file)] == ["0.5", "0.25"]
    (tmp_path / "metrics.csv").write_text(TABLE[: TABLE.index(",0.25")])
    assert [row["train/loss"] for row in logged({"global_step": 4}, file)] == ["0.5"]


def test_without_a_table(tmp_path):
    assert logged({"global_step": 4}, tmp_path / "metrics.csv") == []
