"""The modules of a plan: the backbone with its blocks, and the blocks that have no site in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from wholeframe.convert.plan import Plan
from wholeframe.messages import nearest
from wholeframe.models.rebuild import rebuild
from wholeframe.surgery.norms import freeze_norms
from wholeframe.surgery.placement import CHILD, Layout, attach
from wholeframe.surgery.record import remember


@dataclass(frozen=True)
class Parts:
    """What a plan builds, in eval mode.

    Args:
        network: the backbone with its blocks, or None.
        apart: the blocks without a site, by name.
        blocks: all blocks, by site or name.
    """

    network: nn.Module | None
    apart: Mapping[str, nn.Module]
    blocks: Mapping[str, nn.Module]

    @classmethod
    def of(cls, plan: Plan) -> "Parts":
        """Build the backbone of a plan, and attach its blocks.

        Raises:
            ValueError: for a backbone that cannot be built, and a site that it does not have.
        """
        network = None if plan.origin is None else rebuild(plan.origin)
        if network is not None:
            if plan.frozen:
                freeze_norms(network)
            sites = dict(network.named_modules())
            for site, block in plan.blocks.items():
                if site not in sites:
                    raise ValueError(f"the backbone {plan.origin} has no site {site!r}; {nearest(site, sites)}")
                if isinstance(sites[site], nn.Sequential):
                    last = next(reversed(sites[site]._modules))
                    raise ValueError(f"{site!r} is a sequence, which has no block itself; give '{site}.{last}'")
                attach(sites[site], block, Layout())
            if plan.blocks:
                remember(network, {site: _channels(block) for site, block in plan.blocks.items()})
        for module in (network, *plan.apart.values()):
            if module is not None:
                module.eval()
        return cls(network, plan.apart, {**plan.blocks, **plan.apart})

    def state(self) -> dict[str, Tensor]:
        """All tensors by their names here."""
        own: dict[str, Tensor] = {} if self.network is None else self.network.state_dict()
        for name, block in self.apart.items():
            own |= block.state_dict(prefix=f"{name}.{CHILD}.")
        return own

    def hidden(self) -> bool:
        """Whether a module has a tensor that no state dict has, whose value only its constructor gives."""
        modules = [m for m in (self.network, *self.apart.values()) if m is not None]
        return any(module._non_persistent_buffers_set for root in modules for module in root.modules())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these tensors, by their names here, in place of the own ones; others keep what they are."""
        rest = dict(tensors)
        for name, block in self.apart.items():
            prefix = f"{name}.{CHILD}."
            mine = {key.removeprefix(prefix): rest.pop(key) for key in tensors if key.startswith(prefix)}
            block.load_state_dict(mine, assign=True)
        if self.network is not None:
            self.network.load_state_dict(rest, strict=False, assign=True)


def _channels(block: nn.Module) -> int:
    channels = getattr(block, "channels", None)
    assert isinstance(channels, int)  # Every block of ours that has a site has it.
    return channels
