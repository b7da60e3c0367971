"""Which panels show a view: the photograph and a map per block; for several queries a strip per block."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, zip_longest
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from wholeframe.explain.attention import Attention
from wholeframe.explain.figures import drawable
from wholeframe.explain.pictures.film import STRONGEST, Film, paint_arrows, paint_film_heat, share_of, strongest
from wholeframe.explain.pictures.gates import extremes, paint_covariance, paint_gates
from wholeframe.explain.pictures.heat import Scale, paint_bar, paint_edge, paint_heat
from wholeframe.explain.pictures.scene import View, mark
from wholeframe.explain.pictures.sheet import Panel

LETTERS, ACROSS = 52, 60
"""letters of a name, and of a line"""

LOWEST, SQUARE = 0.6, 0.9
"""height over width of a panel with bars, and of one with a matrix"""

Strip = list[Panel]


def strips_of(view: View, top: int | None = None) -> list[Strip]:
    """The panels of the blocks of one network.

    Args:
        view: its queries and records.
        top: draw arrows to this number of keys of each query; by default heat maps over a photograph, and in a clip 20
            arrows for each query.
    """
    if not view.scene.clip and len(view.queries) <= 1:
        maps = [panel for each in view.found[0] for panel in _of(view, each, name_of(each), top=top)]
        return [[_photograph(view, _titled(view, *view.labels)), *maps]]
    strips, rest = [], []
    for found in view.blocks():
        (first, *_) = found.values()
        if first.kind == "pairwise":
            strips.append(_of_queries(view, found, top))
        else:
            rest += _of(view, first, _titled(view, name_of(first)))
    films = [[panel] for panel in rest if panel.wide]
    still = [panel for panel in rest if not panel.wide]
    return [*strips, *films, *([still] if still else [])]


def compared(views: Sequence[View], top: int | None = None) -> list[Strip]:
    """The panels of the same scene in several networks, with the maps of the same site next to each other.

    A strip has one query. Sites that not every network has are next to each other in the order in which they run.
    """
    strips = []
    for sites in _paired(views):
        for query, label in enumerate(views[0].labels):
            maps: Strip = []
            for view, site in zip(views, sites, strict=True):
                for found in view.blocks():
                    if query in found and found[query].site == site:
                        head = [drawable(view.title, LETTERS), name_of(found[query])]
                        head += [label] if view.scene.clip else []
                        maps += _of(view, found[query], "\n".join(filter(None, head)), number=query, top=top)
            if maps:
                photograph = [] if views[0].scene.clip else [_photograph(views[0], label, [query])]
                strips.append([*photograph, *maps])
    return strips


def _paired(views: Sequence[View]) -> list[tuple[str | None, ...]]:
    """A site of each network, or None for one that has no further site."""
    sites = [list(dict.fromkeys(each.site for records in view.found for each in records)) for view in views]
    common = set(sites[0]).intersection(*sites[1:])
    others = iter(list(zip_longest(*([site for site in own if site not in common] for own in sites))))
    return [*((site,) * len(views) if site in common else next(others) for site in sites[0]), *others]


def difference(found: Sequence[Attention]) -> float:
    """The mean cosine distance between the maps of the queries of one block, as in table 1 of GCNet (Cao et al., 2019):

        mean over i < j of (1 - cos(w_i, w_j)) / 2

    0 where all queries have the same map.
    """
    rows = [each.weights.numpy().reshape(-1).astype(np.float64) for each in found]
    units = [row / (np.linalg.norm(row) or 1) for row in rows]
    return max(float(np.mean([(1 - a @ b) / 2 for a, b in combinations(units, 2)])), 0.0)


def _of_queries(view: View, found: Mapping[int, Attention], top: int | None) -> Strip:
    """The maps of one block for all queries, with one scale."""
    records = list(found.values())
    scale, head = Scale.of(records), _titled(view, name_of(records[0]))
    labels = {query: view.labels[query] for query in found}
    if view.scene.clip:
        heads = {query: f"{head}, {label}" for query, label in labels.items()}
        return [panel for query, each in found.items() for panel in _of(view, each, heads[query], top=top)]
    same = "one query" if len(records) == 1 else f"{len(records)} queries"
    if len(records) > 1:
        same += f"; mean cosine distance of their maps {difference(records):.2g}"
    title = "\n".join(filter(None, (head, same, rule_of(records[0]))))
    plain = {query: replace(each, rule=None) for query, each in found.items()}
    maps = [panel for query, each in plain.items() for panel in _of(view, each, labels[query], scale, query, top)]
    return [_photograph(view, title, list(found)), *maps]


def _of(
    view: View, found: Attention, head: str, scale: Scale | None = None, number: int = 0, top: int | None = None
) -> Strip:
    """The panels of one record: its map or its gates, and for GSoP the covariance too."""
    if found.kind == "channel":
        return of_gates(found, head)
    clip, scale = view.scene.clip, scale or Scale.of([found])
    if found.cell is not None and (clip or top is not None):
        film, keys = Film.of(view.scene, found), strongest(found, top or STRONGEST)
        signs = "; amber is positive, blue negative" if Scale.of([found]).signed else ""
        text = f"the {len(keys)} strongest have {share_of(found, keys):.0%} of the weight{signs}\n{what_of(found)}"
        return [Panel(f"{head}\n{text}", film.tall, partial(_draw_arrows, film, found, keys), wide=clip)]
    title = f"{head}\n{what_of(found)}"
    if clip:
        film = Film.of(view.scene, found)
        return [Panel(title, film.tall, partial(paint_film_heat, film=film, found=found, scale=scale), wide=True)]
    draw = partial(_draw_heat, view, found, scale, number)
    return [Panel(title, view.scene.tall, draw), *_of_covariance(found, head)]


def what_of(found: Attention) -> str:
    """What a map has a weight for, and what the weights are where they are not probabilities, in words."""
    grid = " x ".join(map(str, found.weights.shape))
    what = {"pairwise": f"{grid} keys", "shared": f"{grid}, one map for all queries", "position": f"{grid} gates"}
    region = " of the region" if found.region else ""
    equal = ", all weights are equal" if bool((found.weights == found.weights.reshape(-1)[0]).all()) else ""
    return "\n".join(filter(None, (what[found.kind] + region + equal + not_finite(found), rule_of(found))))


def not_finite(found: Attention) -> str:
    """The end of a sentence about weights that are not numbers, which are drawn as no weight."""
    lost = int((~found.weights.isfinite()).sum())
    return f", {lost} of {found.weights.numel()} weights are not finite" if lost else ""


def rule_of(found: Attention) -> str:
    """What the weights are where they are not probabilities, in lines."""
    return fill(found.rule, ACROSS) if found.rule else ""


def name_of(found: Attention) -> str:
    """The block and its site."""
    return drawable(f"{found.block} at {found.site}", LETTERS)


def of_gates(found: Attention, head: str) -> Strip:
    """The panels of a block with a gate per channel."""
    text = f"gates of {len(found.weights)} channels{not_finite(found)}\n{extremes(found)}"
    return [Panel(f"{head}\n{text}", LOWEST, partial(paint_gates, found=found)), *_of_covariance(found, head)]


def _of_covariance(found: Attention, head: str) -> Strip:
    if found.covariance is None:
        return []
    text = f"covariance of {len(found.covariance)} {'channels' if found.kind == 'channel' else 'positions'}"
    return [Panel(f"{head}\n{text}", SQUARE, partial(paint_covariance, found=found))]


def _photograph(view: View, title: str, queries: Sequence[int] | None = None) -> Panel:
    """The scene with its queries, which have numbers where there are several."""
    depends = any(each.cell is not None for records in view.found for each in records)
    chosen = range(len(view.queries)) if queries is None else queries

    def draw(axis: Axes) -> None:
        view.scene.paint(axis)
        view.scene.fit(axis)
        for query in chosen if depends else ():
            _mark(axis, view, query)

    return Panel(title, view.scene.tall, draw)


def _draw_heat(view: View, found: Attention, scale: Scale, number: int, axis: Axes) -> None:
    """A map over the photograph in grey, and the query if the map depends on it."""
    space = found.key_frame.intervals
    view.scene.paint(axis, grey=True)
    paint_heat(axis, found.weights.numpy(), space, scale)
    if found.region:
        paint_edge(axis, space)
    view.scene.fit(axis)
    paint_bar(axis, scale.colours, scale.norm)
    if found.cell is not None:
        _mark(axis, view, number)


def _mark(axis: Axes, view: View, index: int) -> None:
    y, x = view.queries[index][-2:]
    mark(axis, y + 0.5, x + 0.5, index + 1 if len(view.queries) > 1 else None)


def _draw_arrows(film: Film, found: Attention, keys: Sequence[int], axis: Axes) -> None:
    film.paint(axis)
    paint_arrows(axis, film, found, keys)


def _titled(view: View, *lines: str) -> str:
    return "\n".join(filter(None, (drawable(view.title, LETTERS) if view.title else "", *lines)))
