"""DistributedDataParallel with two processes: insert first, wrap afterwards, and the blocks agree on all ranks."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

import wholeframe as wf

SAMPLES = 4


def host():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def step(model, x):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def rank_of_two(rank, port, results):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        for work in WORKS:
            try:
                results[rank, work.__name__] = work(rank)
            except Exception as error:
                results[rank, work.__name__] = error
            dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def results():
    """What each piece of work returned, by rank and name: starting two processes takes longer than all of them."""
    with mp.Manager() as manager:
        found = manager.dict()
        mp.spawn(rank_of_two, args=(free_port(), found), nprocs=2)
        return dict(found)


def of_both(results, work):
    found = [results[rank, work.__name__] for rank in range(2)]
    for result in found:
        if isinstance(result, Exception):
            raise result
    return found


def train_inserted_first(rank):
    """The weights of both ranks after two steps, each on its own half of the samples."""
    model = host()
    torch.manual_seed(rank)  # other first weights on each rank, which the wrapper has to replace
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    wrapped = DistributedDataParallel(model)
    torch.manual_seed(1)
    step(wrapped, torch.randn(SAMPLES, 3, 8, 8).chunk(2)[rank])
    return {name: p.detach() for name, p in model.named_parameters()}


def verify_wrapped(rank):
    model = host()
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    wf.verify(DistributedDataParallel(model), torch.zeros(1, 3, 8, 8))


def insert_into_wrapped(rank):
    wrapped = DistributedDataParallel(host())
    try:
        wf.insert(wrapped, wf.GlobalContext, at="module.1", example=torch.zeros(1, 3, 8, 8))
    except (ValueError, TypeError) as refusal:
        return str(refusal)
    return "accepted"


def train_sharded(rank):
    from torch.distributed.fsdp import fully_shard

    model = host()
    torch.manual_seed(0)  # a sharded network keeps the first weights of each rank, so they have to be the same
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    fully_shard(model, mesh=dist.init_device_mesh("cpu", (2,)))
    torch.manual_seed(1)
    step(model, torch.randn(SAMPLES, 3, 8, 8).chunk(2)[rank])
    return {name: p.full_tensor().detach() for name, p in model.named_parameters()}


WORKS = [train_inserted_first, verify_wrapped, insert_into_wrapped, train_sharded]


def test_blocks_inserted_first_agree_on_all_ranks(results):
    first, second = of_both(results, train_inserted_first)
    assert any("wholeframe" in name for name in first)
    assert not [name for name in first if not torch.equal(first[name], second[name])]


def test_verify_looks_into_the_wrapper(results):
    of_both(results, verify_wrapped)


def test_two_ranks_train_as_one_process_does(results):
    first, _ = of_both(results, train_inserted_first)
    model = host()
    torch.manual_seed(0)
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    torch.manual_seed(1)
    step(model, torch.randn(SAMPLES, 3, 8, 8))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(first[name], parameter.detach(), rtol=1e-4, atol=1e-6, msg=name)


def test_insert_into_a_wrapped_model_is_refused_in_a_sentence(results):
    """Its gradients would not be synchronised, because the wrapper registers parameters when it is built."""
    for refusal in of_both(results, insert_into_wrapped):
        assert "DistributedDataParallel" in refusal and "insert" in refusal


def test_insert_into_data_parallel_is_refused_or_works():
    wrapped = DataParallel(host())
    try:
        wf.insert(wrapped, wf.GlobalContext, at="module.1", example=torch.zeros(1, 3, 8, 8))
    except (ValueError, TypeError) as refusal:
        assert "DataParallel" in str(refusal)
    else:
        wf.verify(wrapped, torch.zeros(1, 3, 8, 8))


def test_a_sharded_network_trains_as_a_replicated_one(results):
    """FSDP2 shards what is there when it is called, so insert comes first."""
    (replicated, _), (first, second) = of_both(results, train_inserted_first), of_both(results, train_sharded)
    assert first.keys() == replicated.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], replicated[name], rtol=1e-4, atol=1e-6, msg=name)
