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


def rank_of_two(rank, port, work, results):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        results[rank] = work(rank)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def in_two_processes(work):
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(rank_of_two, args=(free_port(), work, results), nprocs=2)
        return dict(results)


def train_inserted_first(rank):
    """The weights of both ranks after two steps, each on its own half of the samples."""
    model = host()
    torch.manual_seed(rank)  # other first weights on each rank, which the wrapper has to replace
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    wrapped = DistributedDataParallel(model)
    torch.manual_seed(1)
    step(wrapped, torch.randn(SAMPLES, 3, 8, 8).chunk(2)[rank])
    wf.verify(wrapped)
    return {name: p.detach() for name, p in model.named_parameters()}


def insert_into_wrapped(rank):
    wrapped = DistributedDataParallel(host())
    try:
        wf.insert(wrapped, wf.GlobalContext, at="module.1", example=torch.zeros(1, 3, 8, 8))
    except (ValueError, TypeError) as refusal:
        return str(refusal)
    return "accepted"


def test_blocks_inserted_first_agree_on_all_ranks():
    first, second = in_two_processes(train_inserted_first).values()
    assert any("wholeframe" in name for name in first)
    assert not [name for name in first if not torch.equal(first[name], second[name])]


def test_two_ranks_train_as_one_process_does():
    results = in_two_processes(train_inserted_first)
    model = host()
    torch.manual_seed(0)
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    torch.manual_seed(1)
    step(model, torch.randn(SAMPLES, 3, 8, 8))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(results[0][name], parameter.detach(), rtol=1e-4, atol=1e-6, msg=name)


def test_insert_into_a_wrapped_model_is_refused_in_a_sentence():
    """Its gradients would not be synchronised, because the wrapper registers parameters when it is built."""
    for refusal in in_two_processes(insert_into_wrapped).values():
        assert "DistributedDataParallel" in refusal and "insert" in refusal


def test_insert_into_data_parallel_is_refused_or_works():
    wrapped = DataParallel(host())
    try:
        wf.insert(wrapped, wf.GlobalContext, at="module.1", example=torch.zeros(1, 3, 8, 8))
    except (ValueError, TypeError) as refusal:
        assert "DataParallel" in str(refusal)
    else:
        wf.verify(wrapped, torch.zeros(1, 3, 8, 8))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_sharded_block_trains_as_one_process_does():
    """FSDP2 shards what is there when it is called, so insert comes first."""
    first, second = in_two_processes(train_sharded).values()
    assert any("wholeframe" in name for name in first)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0, msg=name)


def train_sharded(rank):
    from torch.distributed.fsdp import fully_shard

    model = host()
    wf.insert(model, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 8, 8))
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    fully_shard(model, mesh=mesh)
    torch.manual_seed(1)
    step(model, torch.randn(SAMPLES, 3, 8, 8).chunk(2)[rank])
    return {name: p.full_tensor().detach() for name, p in model.named_parameters()}
