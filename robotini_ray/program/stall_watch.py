"""Detects when the learner or the cars have stood still for too long, and tells what they wait for."""

from __future__ import annotations

import time

from robotini_ray.run.reports import CollectorReport, LearnerReport

STALL_S = 20.0


class StallWatch:
    """Watches the reports of learner and cars; each side that stands still gives a line every ``STALL_S`` seconds."""

    def __init__(self) -> None:
        now = time.monotonic()
        self._train_step = -1
        self._trained_at = now
        self._driven_at = now
        self._learner_said_at = self._cars_said_at = now

    def look(self, learner: LearnerReport | None, collections: list[CollectorReport]) -> list[str]:
        """Takes the newest reports; returns the lines for the user, usually none.

        Args:
            learner: The learner's newest report; None while it is not running.
            collections: The reports that collectors have sent since the last call.
        """
        now = time.monotonic()
        if learner is None or learner.train_step != self._train_step:
            self._trained_at = now
        if learner is not None:
            self._train_step = learner.train_step
        if any(report.env_steps for report in collections):
            self._driven_at = now
        lines = []
        if learner is not None and now - max(self._trained_at, self._learner_said_at) > STALL_S:
            self._learner_said_at = now
            lines.append(f"the learner has stood still for {now - self._trained_at:.0f} s: {_learner_waits(learner)}")
        if collections and now - max(self._driven_at, self._cars_said_at) > STALL_S:
            self._cars_said_at = now
            lines.append(f"the cars have stood still for {now - self._driven_at:.0f} s: {_cars_wait(collections, learner)}")
        return lines


def _learner_waits(learner: LearnerReport) -> str:
    if learner.waiting_for:
        return f"it waits for {learner.waiting_for}"
    return "it waits for nothing, but its train step does not end"


def _cars_wait(collections: list[CollectorReport], learner: LearnerReport | None) -> str:
    if learner is not None and all(report.paused for report in collections):
        state = learner.replay
        ahead = state.inserted - state.sampled / state.samples_per_item
        return f"they wait for the learner, which is {ahead:,.0f} replay items behind"
    if all(report.weights_version < 0 for report in collections):
        return "they wait for the learner's first weights"
    return "no frames come from their simulator; see the collectors' logs"
