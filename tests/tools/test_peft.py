"""peft: LoRA on the linear layers of every block: the adapters apply, train and merge."""

import pytest
import torch
from torch import nn

import wholeframe as wf

peft = pytest.importorskip("peft", reason="uv sync --extra tools installs peft")

# Of the blocks, `eca` alone has no linear layer; its one convolution has one output channel, which has no low rank.
NAMES = [name for name in wf.BLOCKS if name != "eca"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")


def network(name, moved):
    """A small host with this block, whose weights are no longer the identity."""
    host = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(8), nn.Flatten(2))
    wf.insert(host, wf.BLOCKS[name].make, at="2", example=torch.zeros(2, 3, 16, 16))
    return moved(host).eval()


def adapted(host):
    """LoRA on each linear layer of the block; peft refuses convolutions in groups, such as those of GSoP."""
    layers = [path for path, layer in host.named_modules() if ".wholeframe." in path and type(layer) is nn.Linear]
    return layers, peft.get_peft_model(host, peft.LoraConfig(r=2, lora_alpha=8, target_modules=layers))


@pytest.mark.parametrize("name", NAMES)
def test_adapters_train_and_the_weights_of_the_block_stay(name, moved):
    host, x = network(name, moved), torch.randn(2, 3, 16, 16)
    before = host(x).detach()
    layers, model = adapted(host)
    assert layers
    torch.testing.assert_close(model(x), before, msg="an adapter that starts at zero changes nothing")

    adapters = {path: p for path, p in model.named_parameters() if p.requires_grad}
    assert len(adapters) == 2 * len(layers)
    start = {path: p.detach().clone() for path, p in model.named_parameters()}
    optimiser = torch.optim.Adam(adapters.values(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()
    after = dict(model.named_parameters())
    assert not [path for path in adapters if torch.equal(after[path], start[path])], "an adapter does not train"
    assert not [path for path in start.keys() - adapters.keys() if not torch.equal(after[path], start[path])]
    assert not torch.allclose(model(x), before)


@pytest.mark.parametrize("name", NAMES)
def test_merged_adapters_give_the_same_output(name, moved):
    _, model = adapted(network(name, moved))
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if "lora_B" in path:
                parameter.normal_(std=0.1)
    x = torch.randn(2, 3, 16, 16)
    expected = model(x)
    torch.testing.assert_close(model.merge_and_unload()(x), expected, rtol=1e-4, atol=1e-4)


def test_a_saved_adapter_loads_into_a_fresh_network(tmp_path, moved):
    _, model = adapted(network("nl", moved))
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if "lora_B" in path:
                parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path)
    weights = {key: value for key, value in model.get_base_model().state_dict().items() if "lora_" not in key}

    fresh = network("nl", moved)
    fresh.load_state_dict({key.replace("base_layer.", ""): value for key, value in weights.items()})
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(peft.PeftModel.from_pretrained(fresh, tmp_path).eval()(x), model(x))
