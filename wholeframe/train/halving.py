"""Successive halving: the best third of the candidates goes on to a longer training. Optuna decides."""

from collections.abc import Mapping, Sequence

FACTOR = 3
"""One in three candidates of a rung goes on; 3 or 4 is usual (Li et al., "Hyperband", JMLR 2018)."""


def rung_sizes(candidates: int) -> list[int]:
    """The number of candidates in every rung, if no two have the same score.

        n_0 = candidates,    n_k = floor((n_(k-1) + 1) / 3),    as long as n_k >= 2

    The last rung has at least two candidates, because it decides between them.
    """
    sizes = [candidates]
    while (size := (sizes[-1] + 1) // FACTOR) >= 2:
        sizes.append(size)
    return sizes


class Halving:
    """The decisions of Optuna's `SuccessiveHalvingPruner`, for all candidates of a rung at the same time.

    The pruner is asynchronous: it compares a trial with those that reached the rung earlier, so that the first one goes
    on with any score. Here every trial of a rung is announced before the first decision. Announced trials are then
    decided from their state before the announcement, so that each competes with all, itself included.

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS
    2016; Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.

    Args:
        candidates: their names.

    Raises:
        ValueError: Optuna is not installed.
    """

    def __init__(self, candidates: Sequence[str]):
        try:
            import optuna
        except ImportError as error:
            raise ValueError(
                "a search needs Optuna, which decides what goes on; install it with `uv sync --extra search`"
            ) from error
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # A note on every trial hides our own output.
        try:
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
            self.study = optuna.create_study(direction="maximize", pruner=pruner)
            names = optuna.distributions.CategoricalDistribution(tuple(candidates))
            for name in candidates:
                self.study.enqueue_trial({"candidate": name})
            self.trials = {name: self.study.ask({"candidate": names}) for name in candidates}
        finally:
            optuna.logging.set_verbosity(verbosity)
        self.rung = 0

    def kept(self, scores: Mapping[str, float]) -> list[str]:
        """Those that go on, in their order; more than a third if some have the same score.

        Args:
            scores: of all candidates that are left, higher is better.
        """
        for name, score in scores.items():
            self.trials[name].report(score, FACTOR**self.rung)
        before = [trial for trial in self.study.get_trials() if trial.params["candidate"] in scores]
        for trial in before:
            self.study.pruner.prune(self.study, trial)
        self.rung += 1
        return [trial.params["candidate"] for trial in before if not self.study.pruner.prune(self.study, trial)]
