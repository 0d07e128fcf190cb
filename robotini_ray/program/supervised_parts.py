"""Supervises the parts of a run, and tells learner and placement when a part has begun to run."""

from __future__ import annotations

from collections.abc import Callable

from robotini_ray.parts.interfaces import LearnerPart
from robotini_ray.program.supervisor import Supervisor
from robotini_ray.program.topology import EVALUATOR, LEARNER, REPLAY, Topology
from robotini_ray.run.progress import Progress

A_COLLECTOR = "a collector"


class SupervisedParts:
    """All parts of a run.

    Args:
        topology: Declares the parts; its placement follows replay when Ray places that on another node.
        progress: Counts the parts that are started again.
        say: Takes a line for a person.
    """

    def __init__(self, topology: Topology, progress: Progress, say: Callable[[str], None]) -> None:
        self._placement = topology.placement
        self._progress = progress
        self._say = say
        self.collectors = topology.collectors
        self.cars = topology.cars
        self.supervisor = Supervisor(topology.parts(), topology.log_dir, say, progress.add_restart, self._on_running)

    def awaited(self) -> list[str]:
        """Returns the names of the parts that training still needs before it can begin; one collector is enough."""
        running = self.supervisor.running
        missing = [name for name in (REPLAY, EVALUATOR, LEARNER) if running(name) is None]
        return missing if any(running(name) for name in self.collectors) else [A_COLLECTOR, *missing]

    def _on_running(self, name: str) -> None:
        if name == LEARNER:
            self._give_weights_to_all()
        elif name == REPLAY:
            self._follow_replay()

    def _give_weights_to_all(self) -> None:
        """Reports what was wrong with the learner's checkpoints, and tells it which cars drive with its weights."""
        for warning in self.supervisor.first_report(LEARNER).warnings:
            self._say(f"warning: {warning}")
            self._progress.add_fault("learner checkpoint unusable")
        learner = self.supervisor.running(LEARNER)
        assert learner is not None
        cars = [car for name in self.cars if (car := self.supervisor.running(name)) is not None]
        learner.tell(LearnerPart.add_receivers, cars)

    def _follow_replay(self) -> None:
        """Reports what was wrong with replay's checkpoints, and finds out which node replay is on now."""
        for warning in self.supervisor.first_report(REPLAY).warnings:
            self._say(f"warning: {warning}")
            self._progress.add_fault("replay checkpoint unusable")
        self._placement.find_learner(self.supervisor.node(REPLAY))
