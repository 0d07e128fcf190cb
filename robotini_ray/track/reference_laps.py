"""Lap times that a run is compared with, carried over to any track by its limit.

Both were driven on one circuit of 19.4 m, whose limit is 5.6 s: 15.6 s is the best lap of the original trainer
(robotini-ddpg) after 20 hours, 7.35 s that of the best hand-made bot on record.
"""

from __future__ import annotations

from typing import NamedTuple

ORIGINAL_RATIO = 2.79
BEST_BOT_RATIO = 1.31


class ReferenceLaps(NamedTuple):
    """What the references would need for a lap of a track, and its limit."""

    limit_s: float
    best_bot_s: float
    original_s: float

    @classmethod
    def of(cls, limit_s: float) -> ReferenceLaps:
        """Those of a track with this limit."""
        return cls(limit_s, BEST_BOT_RATIO * limit_s, ORIGINAL_RATIO * limit_s)

    def compare(self, lap_s: float) -> str:
        """How a lap compares with both, as the end of a sentence."""
        bot, original = (f"{lap_s / reference_s:.2f} times the {reference_s:.2f} s of" for reference_s in self[1:])
        return f"{bot} the best hand-made bot, {original} the original trainer"
