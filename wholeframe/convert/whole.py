"""Which repository a whole file comes from: decided by the names of its tensors, never by the name of the file."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from wholeframe.convert.plan import Plan
from wholeframe.messages import in_quotes, listed, nearest, quoted


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
    """

    repository: str
    licence: str
    decisive: tuple[str, ...]
    plan: Callable[..., Plan]
    excluded: tuple[str, ...] = ()
    stated: Callable[[Mapping[str, object]], dict[str, object]] | None = None

    def against(self, keys: Collection[str]) -> str | None:
        """Why a file with these names is not of this source, as a part of a sentence; None if it may be."""
        for pattern in self.decisive:
            if first_match(pattern, keys) is None:
                return f"no name like {pattern!r}"
        found = [first_match(pattern, keys) for pattern in self.excluded]
        return next((f"it has '{key}'" for key in found if key is not None), None)

    def near(self, keys: Collection[str]) -> bool:
        """Whether one of the decisive names is there."""
        return any(first_match(pattern, keys) for pattern in self.decisive)


def first_match(pattern: str, keys: Collection[str]) -> str | None:
    """The first of the names in which the pattern is found."""
    compiled = re.compile(pattern)
    return next((key for key in keys if compiled.search(key)), None)


def fitting(keys: Collection[str], sources: Mapping[str, WholeSource]) -> list[str]:
    """The sources that have files with these names."""
    return [name for name, source in sources.items() if source.against(keys) is None]


def source_of(keys: Collection[str], what: str, sources: Mapping[str, WholeSource], given: str | None) -> str:
    """The source of a file with these names.

    Args:
        keys: names of its tensors.
        what: the file, in the words of the message.
        sources: all that are known.
        given: by the user, or None.

    Raises:
        ValueError: for an unknown source, one that the names contradict, and names that fit none or several.
    """
    if given is not None and given not in sources:
        raise ValueError(f"there is no source {given!r}; {nearest(given, sources)}")
    considered = sources if given is None else {given: sources[given]}
    found = fitting(keys, considered)
    if len(found) == 1:
        return found[0]
    if found:
        decided = {key for name in found for p in sources[name].decisive if (key := first_match(p, keys))}
        raise ValueError(
            f"the names of {what} ({listed(in_quotes(sorted(decided)))}) fit {len(found)} sources: "
            f"{quoted(found)}; give source={found[0]!r} or another of them"
        )
    near = {name: source for name, source in considered.items() if given or source.near(keys)}
    reasons = "; ".join(f"{name}: {source.against(keys)}" for name, source in near.items())
    others = f"no name decides for {listed([name for name in considered if name not in near], most=len(considered))}"
    fits = "is not of this source" if given else "is of none of the sources"
    because = "; ".join(filter(None, [reasons, "" if len(near) == len(considered) else others]))
    raise ValueError(
        f"{what}, with the names {listed(in_quotes(keys), most=3)}, {fits} ({because}); give "
        "a file of a repository that `wholeframe convert --list` has, or convert its blocks alone with wf.convert.block"
    )
