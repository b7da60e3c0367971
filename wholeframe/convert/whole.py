"""Which repository a whole file comes from: decided by the names of its tensors, never by the name of the file."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from wholeframe.convert.plain_networks import plain_network
from wholeframe.convert.plan import Plan
from wholeframe.messages import did_you_mean, in_quotes, listed, quoted, shown


@dataclass(frozen=True)
class WholeSource:
    """A repository whose whole networks are converted.

    Args:
        repository: its address, with a version.
        licence: of its weights, which stays with the converted file.
        decisive: regular expressions, each of which matches a name in every such file.
        excluded: regular expressions, none of which matches a name in such a file.
        plan: from the shapes of the tensors by name, and options, to the plan. An option that cannot be assumed has no
            default.
        stated: options that the file itself states: from its plain entries apart from the weights.
        axes: the number of axes of a tensor, by its name, where networks for images and for clips share names.
    """

    repository: str
    licence: str
    decisive: tuple[str, ...]
    plan: Callable[..., Plan]
    excluded: tuple[str, ...] = ()
    stated: Callable[[Mapping[str, object]], dict[str, object]] | None = None
    axes: Mapping[str, int] = field(default_factory=dict)

    def against(self, state: Mapping[str, Tensor]) -> str | None:
        """Why a file with these tensors is not of this source, as a part of a sentence; None if it may be."""
        for pattern in self.decisive:
            if first_match(pattern, state) is None:
                return f"no name like '{pattern}'"
        for name, axes in self.axes.items():
            if name in state and state[name].ndim != axes:
                return f"'{name}' has {state[name].ndim} axes, and {axes} in such a file"
        found = [first_match(pattern, state) for pattern in self.excluded]
        return next((f"it has '{shown(key)}'" for key in found if key is not None), None)

    def near(self, keys: Collection[str]) -> bool:
        """Whether one of the decisive names is there."""
        return any(first_match(pattern, keys) for pattern in self.decisive)


def first_match(pattern: str, keys: Collection[str]) -> str | None:
    """The first of the names in which the pattern is found."""
    compiled = re.compile(pattern)
    return next((key for key in keys if compiled.search(key)), None)


def fitting(state: Mapping[str, Tensor], sources: Mapping[str, WholeSource]) -> list[str]:
    """The sources that have files with these tensors."""
    return [name for name, source in sources.items() if source.against(state) is None]


def source_of(state: Mapping[str, Tensor], what: str, sources: Mapping[str, WholeSource], given: str | None) -> str:
    """The source of a file with these tensors.

    Args:
        state: its tensors by name.
        what: the file, in the words of the message.
        sources: all that are known.
        given: by the user, or None.

    Raises:
        ValueError: for an unknown source, one that the names contradict, and names that fit none or several.
    """
    if given is not None and given not in sources:
        hint = did_you_mean(given, sources) or f"; there are {quoted(sources)}"
        raise ValueError(f"there is no source '{shown(given)}'{hint}")
    considered = sources if given is None else {given: sources[given]}
    found = fitting(state, considered)
    if len(found) == 1:
        return found[0]
    if found:
        decided = {key for name in found for p in sources[name].decisive if (key := first_match(p, state))}
        raise ValueError(
            f"the names of {what} ({listed(in_quotes(sorted(decided)))}) fit {len(found)} sources: "
            f"{quoted(found)}; give source={found[0]!r} or another of them"
        )
    if given is not None:
        raise ValueError(_not_of(state, what, sources, given))
    if (plain := plain_network(state, len(sources))) is not None:
        raise ValueError(f"{what} {plain}")
    near = {name: source for name, source in sources.items() if source.near(state)}
    reasons = "; ".join(f"{name}: {source.against(state)}" for name, source in near.items())
    others = f"no name decides for {listed([name for name in sources if name not in near], most=len(sources))}"
    because = "; ".join(filter(None, [reasons, "" if len(near) == len(sources) else others]))
    raise ValueError(
        f"{what}, with the names {listed(in_quotes(state), most=3)}, is of none of the sources ({because}); give "
        "a file of a repository that `wholeframe convert --list` has, or convert its blocks alone with wf.convert.block"
    )


def _not_of(state: Mapping[str, Tensor], what: str, sources: Mapping[str, WholeSource], given: str) -> str:
    """Why a file is not of the source that was given, and which it fits."""
    other = fitting(state, sources)
    instead = f"leave source= out, or give source={other[0]!r}, which its names fit" if other else "leave source= out"
    return (
        f"{what}, with the names {listed(in_quotes(state), most=3)}, is not of this source ({given}: "
        f"{sources[given].against(state)}); {instead}"
    )
