"""Small image networks in the layouts of other repositories, and forward passes written without this package."""

import torch
import torch.nn.functional as F
from torch import nn

PREFIXES = ("conv1.", "bn1.", "layer")


def randomised(network):
    """The network in float64 and in eval mode, with every tensor drawn at random."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if "var" in name or tensor.ndim == 1 else (-1, 1)
            nn.init.uniform_(tensor, low, high)
            if tensor.ndim > 1:
                tensor.div_(tensor[0].numel() ** 0.5)
    return network.double().eval()


def saved(folder, state, **entries):
    """A file of `torch.save`, wrapped as training programs do if there are other entries."""
    path = folder / "network.pth"
    torch.save({"state_dict": state, **entries} if entries else state, path)
    return path


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64) / max(shape[-3] if len(shape) > 2 else 1, 1) ** 0.5


def hooked(network, functions):
    """The network with a function of the map after each of these modules."""
    for site, function in functions.items():
        network.get_submodule(site).register_forward_hook(lambda _m, _a, x, function=function: function(x))
    return network


def context_state(channels, hidden, *, kinds=("add",), attention=True):
    """The tensors of mmcv's ContextBlock."""
    state = {"conv_mask.weight": draw(1, channels, 1, 1), "conv_mask.bias": draw(1)} if attention else {}
    for kind in kinds:
        state |= {
            f"channel_{kind}_conv.0.weight": draw(hidden, channels, 1, 1),
            f"channel_{kind}_conv.0.bias": draw(hidden),
            f"channel_{kind}_conv.1.weight": draw(hidden, 1, 1),
            f"channel_{kind}_conv.1.bias": draw(hidden, 1, 1),
            f"channel_{kind}_conv.3.weight": draw(channels, hidden, 1, 1),
            f"channel_{kind}_conv.3.bias": draw(channels),
        }
    return state


def context_forward(state, x):
    """z = x * sigmoid(delta(c)) + delta(c) with c = sum_j softmax_j(w x_j) x_j, or the mean."""
    c = x.mean(dim=(2, 3), keepdim=True)
    if "conv_mask.weight" in state:
        weights = F.conv2d(x, state["conv_mask.weight"], state["conv_mask.bias"]).flatten(2).softmax(dim=2)
        c = (x.flatten(2) * weights).sum(dim=2)[:, :, None, None]

    def delta(kind):
        first, norm, last = ([state[f"channel_{kind}_conv.{n}.{p}"] for p in ("weight", "bias")] for n in (0, 1, 3))
        hidden = F.layer_norm(F.conv2d(c, *first), norm[0].shape, *norm)
        return F.conv2d(hidden.relu(), *last)

    z = x * delta("mul").sigmoid() if "channel_mul_conv.0.weight" in state else x
    return z + delta("add") if "channel_add_conv.0.weight" in state else z


def non_local_state(channels, inner, *, pooled=False, norm=True):
    """The tensors of mmcv's NonLocal2d."""
    state = {}
    for part in ("theta", "phi", "g"):
        name = f"{part}.0.conv" if pooled and part != "theta" else f"{part}.conv"
        state |= {f"{name}.weight": draw(inner, channels, 1, 1), f"{name}.bias": draw(inner)}
    state["conv_out.conv.weight"] = draw(channels, inner, 1, 1)
    if not norm:
        return state | {"conv_out.conv.bias": draw(channels)}
    statistics = {"weight": draw(channels), "bias": draw(channels), "running_mean": draw(channels)}
    return state | {f"conv_out.bn.{k}": v for k, v in {**statistics, "running_var": draw(channels).abs() + 0.5}.items()}


def non_local_forward(state, x, *, mode="embedded_gaussian", use_scale=True):
    """x + BN(W sum_j f(theta_i, phi_j) g_j)."""

    def projected(part):
        name = f"{part}.0.conv" if f"{part}.0.conv.weight" in state else f"{part}.conv"
        y = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])
        return (F.max_pool2d(y, 2) if ".0." in name else y).flatten(2)

    theta, phi, g = (projected(part) for part in ("theta", "phi", "g"))
    scores = theta.mT @ phi
    if mode == "embedded_gaussian":
        weights = (scores / (theta.shape[1] ** 0.5 if use_scale else 1)).softmax(dim=2)
    else:
        weights = scores / scores.shape[2]
    y = (g @ weights.mT).unflatten(2, x.shape[2:])
    y = F.conv2d(y, state["conv_out.conv.weight"], state.get("conv_out.conv.bias"))
    if "conv_out.bn.weight" in state:
        mean, var, weight, bias = (state[f"conv_out.bn.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        y = F.batch_norm(y, mean, var, weight, bias)
    return x + y


def gate_forward(reduce, expand, x):
    """x * sigmoid(W_2 relu(W_1 mean x)); each layer is a weight, or a weight and a bias."""
    hidden = F.linear(x.mean(dim=(2, 3)), *(t.flatten(1) if t.ndim > 2 else t for t in reduce)).relu()
    gate = F.linear(hidden, *(t.flatten(1) if t.ndim > 2 else t for t in expand)).sigmoid()
    return x * gate[:, :, None, None]


def prefixed(prefix, state):
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}
