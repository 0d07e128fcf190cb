"""What a person sees while a run goes on: a live table, or plain lines where standard output is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from robotini_ray.progress import Progress
from robotini_ray.reports import LearnerReport

PLAIN_INTERVAL_S = 10.0


class Display:
    """Shows where a run is; ``say`` adds a line of its own.

    Args:
        title: of the table.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console()
        self._live: Live | None = None
        self._next_plain_at = 0.0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """A line for good."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, rows: dict[str, str], waiting_for: str) -> None:
        """The newest figures, and what is being waited for (empty for nothing)."""
        if not self._console.is_terminal:
            self._show_plain(rows, waiting_for)
            return
        table = Table(title=self._title, show_header=False, title_justify="left")
        names = list(rows)
        half = (len(names) + 1) // 2
        for left, right in zip(names[:half], [*names[half:], ""][:half], strict=True):
            table.add_row(left, rows[left], right, rows.get(right, ""))
        if waiting_for:
            table.caption = f"waiting for {waiting_for}"
        if self._live is None:
            self._live = Live(table, console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(table, refresh=True)

    def _show_plain(self, rows: dict[str, str], waiting_for: str) -> None:
        now = time.monotonic()
        if now < self._next_plain_at:
            return
        self._next_plain_at = now + PLAIN_INTERVAL_S
        line = ", ".join(f"{name} {value}" for name, value in rows.items())
        self.say(f"{line}{f'; waiting for {waiting_for}' if waiting_for else ''}")


def table_rows(
    progress: Progress, learner: LearnerReport | None, env_steps_per_s: float, left_s: float | None
) -> dict[str, str]:
    """The figures of a run as texts; ``learner`` is None while there is none."""
    last = progress.last_evaluation or {}
    steps, held, trained = f"{progress.train_steps:,}", "-", "-"
    if learner is not None:
        replay = learner.replay
        steps += f" ({learner.train_steps_per_s:,.0f}/s)"
        held = f"{replay.items:,} of {replay.capacity:,} ({100 * replay.items / replay.capacity:.0f} %)"
        trained = f"{replay.ratio:.1f} times each"
    version_age = f"{progress.weights_version} ({progress.weights_age_s:.1f} s old)" if progress.weights_version >= 0 else "-"
    return {
        "env steps": f"{progress.env_steps:,} ({env_steps_per_s:,.0f}/s)",
        "train steps": steps,
        "replay": held,
        "trained": trained,
        "weights": version_age,
        "episodes": f"{progress.episodes:,}",
        "laps": f"{progress.laps:,}",
        "crashes": f"{progress.crashes_collect:,}",
        "evaluations": f"{progress.evaluations:,}",
        "return": _number(last.get("average_return"), "{:.1f}"),
        "clean laps": f"{last['clean_laps']} of {len(last['laps'])}" if last else "-",
        "best lap": _number(progress.best_lap_s, "{:.2f} s"),
        "time left": "-" if left_s is None else clock(left_s),
        "restarts": ", ".join(f"{part} {count}" for part, count in sorted(progress.restarts.items())) or "-",
    }


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
