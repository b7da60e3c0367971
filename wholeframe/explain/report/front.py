"""The Pareto front: the arms that no other arm beats in both cost and score."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that no other point dominates, by increasing cost.

        j dominates i:  cost_j <= cost_i  and  score_j >= score_i,  and one of the two is strict

    Args:
        points: `(cost, score)`; a low cost and a high score are good.

    Returns:
        Their indices. Points that are equal in both are all on the front, or all off it.
    """
    return sorted((i for i in range(len(points)) if not _dominated(points, i)), key=lambda i: (points[i], i))


def _dominated(points: Sequence[tuple[float, float]], index: int) -> bool:
    cost, score = points[index]
    return any(other <= cost and better >= score and (other < cost or better > score) for other, better in points)
