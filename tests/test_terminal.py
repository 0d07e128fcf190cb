import io

import pytest
from rich.console import Console

from robotini_ray import terminal
from robotini_ray.car.laps import Lap
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.progress import Progress
from robotini_ray.reports import CollectorReport, Evaluation, EvaluationResult, LearnerReport, ReplayState
from robotini_ray.terminal import PLAIN_INTERVAL_S, Display, clock, table_rows


class Clock:
    """Stands for the time module."""

    now_s = 1000.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def wall(monkeypatch):
    wall = Clock()
    monkeypatch.setattr(terminal, "time", wall)
    return wall


@pytest.fixture
def screen(monkeypatch):
    """A terminal to write on: what Display writes there."""
    text = io.StringIO()
    monkeypatch.setattr(terminal, "Console", lambda: Console(file=text, force_terminal=True, width=100))
    return text


class TestPlain:
    def test_lines_are_written_as_they_are(self, capsys):
        line = "best [bold]lap[/bold] 9.51 s in /runs/a" + "/deep" * 60
        with Display("title") as display:
            display.say(line)
        assert capsys.readouterr().out == line + "\n"

    def test_figures_come_as_one_line_every_ten_seconds(self, capsys, wall):
        with Display("title") as display:
            for number in range(25):
                display.show({"env steps": str(number), "laps": "[1]"}, "the first evaluation" if number < 5 else "")
                wall.now_s += 1.0
        assert PLAIN_INTERVAL_S == 10.0
        assert capsys.readouterr().out.splitlines() == [
            "env steps 0, laps [1]; waiting for the first evaluation",
            "env steps 10, laps [1]",
            "env steps 20, laps [1]",
        ]

    def test_nothing_is_colored(self, capsys):
        with Display("title") as display:
            display.show({"laps": "1"}, "")
            display.say("123 true http://here")
        assert "\x1b" not in capsys.readouterr().out


class TestLive:
    @pytest.mark.parametrize("count", [1, 2, 5, 12])
    def test_a_table_has_every_row_and_what_is_waited_for(self, screen, count):
        rows = {f"name{number}": f"value{number}" for number in range(count)}
        with Display("the title") as display:
            display.show(rows, "rain")
            display.show(rows, "")
        shown = screen.getvalue()
        assert all(name in shown and value in shown for name, value in rows.items())
        assert "the title" in shown and "waiting for rain" in shown

    def test_the_cursor_comes_back_after_an_error(self, screen):
        with pytest.raises(RuntimeError), Display("title") as display:
            display.show({"a": "1"}, "")
            raise RuntimeError
        assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1

    def test_lines_are_written_above_the_table(self, screen):
        with Display("title") as display:
            display.show({"a": "1"}, "")
            display.say("a line for good")
        assert "a line for good" in screen.getvalue()


class TestRows:
    LEARNER = LearnerReport(1234, 56.7, ReplayState(2500, 9000, 8000, 10_000, 100, 4.0), 0.0, {})

    def test_at_the_start(self):
        rows = table_rows(Progress(), LearnerReport(0, 0.0, ReplayState(0, 0, 0, 100, 10, 4.0), 1.0, {}), 0.0, None)
        assert rows == {
            "env steps": "0 (0/s)",
            "train steps": "0 (0/s)",
            "replay": "0 of 100 (0 %)",
            "trained": "0.0 times each",
            "weights": "-",
            "episodes": "0",
            "laps": "0",
            "crashes": "0",
            "evaluations": "0",
            "return": "-",
            "clean laps": "-",
            "best lap": "-",
            "time left": "-",
            "restarts": "-",
        }

    def test_on_the_way(self):
        progress = Progress()
        report = CollectorReport(12_345, laps=[Lap(9.0, True)], crashes=2, weights_version=40, weights_age_s=0.26)
        progress.add_collections([report])
        progress.add_learner(self.LEARNER)
        for part in ("learner", "collector-0", "learner"):
            progress.add_restart(part, "process ended")
        laps = [Lap(9.125, True), Lap(10.0, False)]
        progress.add_evaluation(Evaluation(40, EvaluationResult(laps, 1, [OriginalEpisode(12.34, 9)], 9, 9.0), True), 8.0)
        rows = table_rows(progress, self.LEARNER, 789.4, 65.9)
        assert rows == {
            "env steps": "12,345 (789/s)",
            "train steps": "1,234 (57/s)",
            "replay": "2,500 of 10,000 (25 %)",
            "trained": "0.9 times each",
            "weights": "40 (0.3 s old)",
            "episodes": "0",
            "laps": "1",
            "crashes": "2",
            "evaluations": "1",
            "return": "12.3",
            "clean laps": "1 of 2",
            "best lap": "9.12 s",
            "time left": "1:05",
            "restarts": "collector-0 1, learner 2",
        }

    def test_without_a_learner(self):
        rows = table_rows(Progress(train_steps=7), None, 0.0, None)
        assert (rows["train steps"], rows["replay"]) == ("7", "-")

    def test_an_evaluation_without_laps(self):
        progress = Progress()
        progress.add_evaluation(Evaluation(1, EvaluationResult([], 0, [], 0, 0.0), True), 8.0)
        rows = table_rows(progress, self.LEARNER, 0.0, 0.0)
        assert (rows["return"], rows["clean laps"], rows["best lap"], rows["time left"]) == ("-", "0 of 0", "-", "0:00")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3725, "62:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
