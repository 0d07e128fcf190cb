"""Provides the reference lap times that a run is compared with, scaled to any track by its limit.

Both references were driven on one circuit of 19.4 m whose limit is 5.6 s: 15.6 s is the best lap of the original trainer
(robotini-ddpg) after 20 hours, and 7.35 s is the best lap on record of a hand-made bot.
"""

from __future__ import annotations

from typing import NamedTuple

ORIGINAL_RATIO = 2.79
BEST_BOT_RATIO = 1.31


class ReferenceLaps(NamedTuple):
    """The lap times of the references on a track, scaled from the circuit that they were driven on, and its limit."""

    limit_s: float
    best_bot_s: float
    original_s: float

    @classmethod
    def of(cls, limit_s: float) -> ReferenceLaps:
        """Returns the reference lap times of a track with this limit, in seconds."""
        return cls(limit_s, BEST_BOT_RATIO * limit_s, ORIGINAL_RATIO * limit_s)

    def compare(self, lap_s: float) -> str:
        """Returns text that compares a lap with both references, for the end of a sentence."""
        bot, original = (f"{lap_s / reference_s:.2f} times the {reference_s:.2f} s of" for reference_s in self[1:])
        return f"{bot} the best hand-made bot, {original} the original trainer"
