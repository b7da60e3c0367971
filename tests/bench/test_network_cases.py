"""The goals for whole networks are data, and every name leads to a network or to a sentence."""

import pytest

from wholeframe.bench.case import PEERS
from wholeframe.bench.network_cases import NETWORKS, Limits, chosen


@pytest.mark.parametrize(
    ("name", "inference", "training", "memory"),
    [
        ("r50_gc", 1.03, 1.05, 1.02),
        ("r50_se", 1.03, 1.06, 1.02),
        ("r50_nl5_pooled", 1.35, 1.35, 1.15),
        ("r50_cgnl1", 1.03, 1.05, 1.1),
        ("r50_cgnl5", 1.25, 1.3, 1.1),
        ("i3d_r50_nl5", 1.35, 1.35, 1.15),
    ],
)
def test_the_goals(name, inference, training, memory):
    assert NETWORKS[name].limits == Limits(inference, training, memory, fused=1.02 if name == "r50_gc" else None)
    assert NETWORKS[name].sample == ((3, 8, 224, 224) if name.startswith("i3d") else (3, 224, 224))


def test_every_peer_can_be_imported_by_name_and_converted():
    peers = [case.peer for case in NETWORKS.values() if case.peer is not None]
    assert {peer.package for peer in peers} == {"mmcv", "timm", "pytorchvideo"}
    for peer in peers:
        assert peer.reference in PEERS and peer.block(64) is not None


def test_names():
    assert chosen(()) == list(NETWORKS.values())
    goal, other = chosen(("r50_gc", "r101_gc"))
    assert goal is NETWORKS["r50_gc"] and (other.limits, other.peer) == (Limits(), None)
    assert other.sample == (3, 224, 224)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("r50_gcc", "there is no network 'r50_gcc' to measure; the nearest are r50_gc"),
        ("maskrcnn_r50_gc_r4", "is a detector"),
    ],
)
def test_what_cannot_be_measured(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        chosen((name,))
