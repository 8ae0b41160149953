"""Proposes the settings of the next trial, and tells which trials are hopeless: by Optuna."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna

from keras_fcn.training.tuning.folder import Trial
from keras_fcn.training.tuning.space import Interval, Params, Space, Value

RANDOM_TRIALS = 6
"""Trials whose settings are drawn at random before the sampler learns from them; the first is that of the user."""

COMPARED_TRIALS = 4
"""Finished trials that it takes to call another hopeless."""

_STATES = {"finished": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED,
           "failed": optuna.trial.TrialState.PRUNED}  # fmt: skip


class Search:
    """The tree-structured Parzen estimator, and the median rule.

    What it proposes is a function of the seed, the number of the trial and the trials before: nothing else is kept, so
    a search goes on as if it had never been stopped.

    Args:
        space: What varies.
        seed: Of the search.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._distributions = {
            name: optuna.distributions.CategoricalDistribution(list(range_.values))
            if not isinstance(range_, Interval)
            else optuna.distributions.IntDistribution(int(range_.low), int(range_.high), log=range_.is_logarithmic)
            if range_.is_whole
            else optuna.distributions.FloatDistribution(range_.low, range_.high, log=range_.is_logarithmic)
            for name, range_ in space.ranges.items()
        }

    def propose(self, before: Sequence[Trial]) -> dict[str, Value]:
        """Returns what the next trial varies: first the user's own settings, where they are in their range.

        Args:
            before: The trials that are over.
        """
        number = len(before) + 1
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        asked = self._ask(before, seed, {} if before else self._space.own(), 1)
        return {name: self._shortened(name, value) for name, value in asked.params.items()}

    def is_hopeless(self, trial: Trial, before: Sequence[Trial], epochs: int, values: Sequence[float]) -> bool:
        """Returns whether the best of a trial so far is below the median of others after as many epochs.

        Args:
            trial: The trial.
            before: The trials that are over.
            epochs: Those of every trial; in the first third of them, none is hopeless.
            values: What makes a model the best, after each epoch so far.
        """
        asked = self._ask(before, 0, trial.params, math.ceil(epochs / 3))
        for epoch, value in enumerate(values, start=1):
            asked.report(value, epoch)
        return asked.should_prune()

    def _ask(self, before: Sequence[Trial], seed: int, params: Params, warmup: int) -> Any:
        """Returns Optuna's trial after those before, with these settings, others proposed."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it logs that a study in memory was created
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS),
            pruner=optuna.pruners.MedianPruner(COMPARED_TRIALS, warmup),
        )
        for trial in before:
            study.add_trial(self._told(trial))
        if params:
            study.enqueue_trial(dict(params))
        return study.ask(self._distributions)

    def _told(self, trial: Trial) -> Any:
        """Returns a trial as Optuna's: one that failed is worse than any that was pruned."""
        return optuna.trial.create_trial(
            params=trial.params,
            distributions=self._distributions,
            state=_STATES[trial.state],
            value=trial.value if trial.state == "finished" else None,
            intermediate_values=dict(enumerate(trial.values, start=1)) if trial.state != "failed" else {},
        )

    def _shortened(self, name: str, value: Value) -> Value:
        """Returns a proposed number with three digits, the user's own as it is."""
        range_ = self._space.ranges[name]
        is_own = value == self._space.own().get(name)
        return value if is_own or not isinstance(range_, Interval) else range_.rounded(value)  # type: ignore[arg-type]
