"""The smallest training that is a whole one: tiny networks on the shortest track."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "environment": {"image_width": 16, "throttle_high": 0.12},
    "agent": {"algorithm": "td3", "actor_layers": [16], "critic_layers": [16], "batch_size": 16},
    "replay": {"capacity": 2000, "min_items": 50, "samples_per_item": 8},
    "collection": {"cars": 2, "cars_per_collector": 1},
    "learner": {"steps_per_call": 5, "checkpoint_interval_s": 1000},
    "evaluation": {"interval_s": 0, "laps": 1, "max_seconds": 4},
    "simulator": {"track": "oval"},
}


def small_training(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The config of such a training, as YAML takes it, with other values of some sections."""
    return {section: {**SMALL.get(section, {}), **changes.get(section, {})} for section in {*SMALL, *changes}}
