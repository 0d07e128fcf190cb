"""Shows the start and the progress of a run as live lines, or as plain ones if standard output is not a terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from robotini_ray.machine.terminal_text import WIDTH, printable_lines, wrapped
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import LearnerReport

PLAIN_INTERVAL_S = 15.0
LONG = ("restarts", "faults", "waiting for")
"""Rows of any length: they are shown below the table, and left out while they are empty."""

NOTHING = "-"
UNBROKEN_SPACE = "\xa0"


class _WaitingLine:
    """One moving line that names what is waited for, and for how long already."""

    def __init__(self, what: str) -> None:
        self._spinner = Spinner("dots")
        self._what = what
        self._since_s = time.monotonic()

    def name(self, what: str) -> None:
        """Takes what is waited for from now on."""
        if what != self._what:
            self._what, self._since_s = what, time.monotonic()

    def __rich__(self) -> Spinner:
        self._spinner.update(text=Text(f"waiting for {self._what}: {time.monotonic() - self._since_s:.0f} s"))
        return self._spinner


class Display:
    """Shows what a start or an end waits for, the newest figures of a run, and lines of text that stay.

    The live line and the live table are redrawn in place and end with the context. Plain lines come at most every 15 s.

    Args:
        title: The title of the table.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console()
        self._live: Live | None = None
        self._waiting: _WaitingLine | None = None
        self._next_plain_at = 0.0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end_live()

    def say(self, text: str) -> None:
        """Prints a text that stays, above the table; it is wrapped to the width of a terminal, and unchanged elsewhere."""
        text = printable_lines(text)
        shown = wrapped(text, self._console.width) if self._console.is_terminal else text
        self._console.print(shown, highlight=False, markup=False, soft_wrap=True)

    def wait(self, what: str) -> None:
        """Shows what a start or an end waits for; call it again when that changes, and now and then.

        A terminal has it on one line that moves and counts the seconds, also while the caller is blocked.
        """
        if not self._console.is_terminal:
            self._wait_plain(what)
            return
        if self._waiting is not None:
            self._waiting.name(what)
            return
        self._end_live()
        self._waiting = _WaitingLine(what)
        self._live = Live(self._waiting, console=self._console, refresh_per_second=8, transient=True)
        self._live.start()

    def show(self, rows: dict[str, str]) -> None:
        """Shows the newest figures, as texts by the names of their rows."""
        if not self._console.is_terminal:
            self._show_plain(rows)
            return
        if self._waiting is not None:
            self._end_live()
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(self._render(rows), refresh=True)

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._live = self._waiting = None

    def _wait_plain(self, what: str) -> None:
        now = time.monotonic()
        if not self._next_plain_at:
            self._next_plain_at = now + PLAIN_INTERVAL_S
        elif now >= self._next_plain_at:
            self._next_plain_at = now + PLAIN_INTERVAL_S
            self.say(f"waiting for {what}")

    def _render(self, rows: dict[str, str]) -> Group:
        table = Table(title=self._title, show_header=False, title_justify="left")
        names = [name for name in rows if name not in LONG]
        half = (len(names) + 1) // 2
        for left, right in zip(names[:half], [*names[half:], ""][:half], strict=True):
            table.add_row(left, Text(rows[left]), right, Text(rows.get(right, "")))
        below = [Padding.indent(Text(f"{name}: {rows[name]}"), 1) for name in LONG if rows.get(name)]
        return Group(table, *below)

    def _show_plain(self, rows: dict[str, str]) -> None:
        now = time.monotonic()
        if now < self._next_plain_at:
            return
        self._next_plain_at = now + PLAIN_INTERVAL_S
        said = [(name, f"{name} {text}") for name, text in rows.items() if text and text != NOTHING]
        whole = ", ".join(text if name in LONG else text.replace(" ", UNBROKEN_SPACE) for name, text in said)
        self.say(wrapped(whole, WIDTH).replace(UNBROKEN_SPACE, " "))


def table_rows(
    progress: Progress, learner: LearnerReport | None, env_steps_per_s: float, left_s: float | None
) -> dict[str, str]:
    """Returns the figures of a run as texts, by the names of their rows.

    Args:
        progress: The counters of the run.
        learner: The newest report of the learner, or None while there is none.
        env_steps_per_s: Camera frames of all cars per second.
        left_s: Seconds until the run ends, or None without a limit.
    """
    last = progress.last_evaluation or {}
    steps, held, trained = f"{progress.train_steps:,}", NOTHING, NOTHING
    if learner is not None:
        replay = learner.replay
        steps += f" ({learner.train_steps_per_s:,.0f}/s)"
        held = f"{replay.items:,} of {replay.capacity:,} ({100 * replay.items / replay.capacity:.0f} %)"
        trained = f"{replay.ratio:.1f} times each"
    return {
        "time": f"{clock(progress.this_wall_s)}{'' if left_s is None else f', {clock(left_s)} left'}",
        "env steps": f"{progress.env_steps:,} ({env_steps_per_s:,.0f}/s)",
        "camera": f"{progress.frames_per_s:,.0f} fps a car, {100 * progress.late_share:.0f} % late",
        "train steps": steps,
        "replay": held,
        "trained": trained,
        "weights": _weights(progress),
        "episodes": f"{progress.episodes:,}",
        "laps": f"{progress.laps:,}",
        "crashes": f"{progress.crashes_collect:,}",
        "evaluations": f"{progress.evaluations:,}",
        "return": _number(last.get("average_return"), "{:.1f}"),
        "clean laps": f"{last['clean_laps']} of {len(last['laps'])}" if last else NOTHING,
        "best lap": _number(progress.best_lap_s, "{:.2f} s"),
        "restarts": _counts(progress.restarts),
        "faults": _counts(progress.faults),
        "waiting for": _waiting_for(progress, learner),
    }


def clock(seconds: float) -> str:
    """Returns a duration as ``M:SS``, or as ``H:MM:SS`` from one hour on."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest_s:02d}" if hours else f"{minutes}:{rest_s:02d}"


def _weights(progress: Progress) -> str:
    if progress.weights_version < 0:
        return NOTHING
    return f"step {progress.weights_version:,}, {progress.weights_age_s:.1f} s old"


def _waiting_for(progress: Progress, learner: LearnerReport | None) -> str:
    if learner is None:
        return "the learner"
    return learner.waiting_for or ("" if progress.evaluations else "the first evaluation")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)
