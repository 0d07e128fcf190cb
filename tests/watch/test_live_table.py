import io
import re

import pytest
from rich.console import Console

from robotini_ray.car.laps import Lap
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import CollectorReport, Evaluation, EvaluationResult, LearnerReport, ReplayState, weights_version
from robotini_ray.watch import live_table
from robotini_ray.watch.live_table import PLAIN_INTERVAL_S, Display, clock, table_rows
from tests.fake_time import FakeTime


@pytest.fixture
def wall(monkeypatch):
    return FakeTime(monkeypatch, live_table)


WIDTH = 80


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 80 columns to write on: what Display writes there."""
    text = io.StringIO()
    monkeypatch.setattr(live_table, "Console", lambda: Console(file=text, force_terminal=True, width=WIDTH))
    return text


def lines_of(screen):
    """The lines on the screen, without what moves the cursor and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue().replace("\r", "\n")).splitlines()


class TestPlain:
    def test_lines_are_written_as_they_are(self, capsys):
        line = "best [bold]lap[/bold] 9.51 s in /runs/a" + "/deep" * 60 + " and on"
        with Display("title") as display:
            display.say(line)
        assert capsys.readouterr().out == line + "\n"

    def test_figures_come_every_fifteen_seconds(self, capsys, wall):
        with Display("title") as display:
            for number in range(35):
                display.show({"env steps": str(number), "laps": "[1]", "waiting for": "rain" if number < 5 else ""})
                wall.now_s += 1.0
        assert PLAIN_INTERVAL_S == 15.0
        assert capsys.readouterr().out.splitlines() == [
            "env steps 0, laps [1], waiting for rain",
            "env steps 15, laps [1]",
            "env steps 30, laps [1]",
        ]

    def test_what_is_waited_for_comes_every_fifteen_seconds(self, capsys, wall):
        with Display("title") as display:
            for second in range(35):
                display.wait("Ray" if second < 20 else "the learner")
                wall.now_s += 1.0
            display.show({"laps": "1"})
        assert capsys.readouterr().out.splitlines() == ["waiting for Ray", "waiting for the learner"]

    def test_what_there_is_none_of_is_left_out(self, capsys):
        with Display("title") as display:
            display.show({"laps": "1", "best lap": "-", "faults": ""})
        assert capsys.readouterr().out == "laps 1\n"

    def test_nothing_is_colored(self, capsys):
        with Display("title") as display:
            display.show({"laps": "1"})
            display.say("123 true http://here")
        assert "\x1b" not in capsys.readouterr().out

    def test_no_line_of_figures_is_longer_than_eighty(self, capsys):
        with Display("title") as display:
            display.show(everything())
        lines = capsys.readouterr().out.splitlines()
        short = [f"{name} {text}" for name, text in everything().items() if name not in live_table.LONG]
        assert all(any(figure in line for line in lines) for figure in short), "each whole in a line"
        assert len(lines) > 3 and all(len(line) <= WIDTH for line in lines), lines
        assert all(line.startswith("  ") for line in lines[1:]), "what goes on is indented"


class TestLive:
    @pytest.mark.parametrize("count", [1, 2, 5, 12])
    def test_a_table_has_every_row_and_what_is_waited_for(self, screen, count):
        rows = {f"name{number}": f"value{number}" for number in range(count)}
        with Display("the title") as display:
            display.show({**rows, "waiting for": "rain"})
            display.show(rows)
        shown = screen.getvalue()
        assert all(name in shown and value in shown for name, value in rows.items())
        assert "the title" in shown and shown.count("waiting for: rain") == 1

    def test_one_line_names_what_is_waited_for_and_counts(self, screen, wall):
        with Display("title") as display:
            display.wait("Ray")
            wall.now_s += 7.0
            display.say("a line for good")
            display.wait("the learner")
            wall.now_s += 2.0
            display.say("another")
            display.show({"laps": "1"})
        lines = [line.strip() for line in lines_of(screen)]
        assert any(line.endswith("waiting for Ray: 7 s") for line in lines), lines
        assert any(line.endswith("waiting for the learner: 2 s") for line in lines), lines
        assert {"a line for good", "another"} <= set(lines)
        table = next(number for number, line in enumerate(lines) if "laps" in line)
        assert not any("waiting" in line for line in lines[table:]), "the table takes its place"

    def test_the_cursor_comes_back_after_an_error(self, screen):
        with pytest.raises(RuntimeError), Display("title") as display:
            display.show({"a": "1"})
            raise RuntimeError
        assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1

    def test_lines_are_written_above_the_table(self, screen):
        with Display("title") as display:
            display.show({"a": "1"})
            display.say("a line for good")
        assert "a line for good" in screen.getvalue()

    def test_no_line_is_longer_than_eighty_and_no_figure_is_broken(self, screen):
        rows = everything()
        with Display("robotini_ray: a-run-with-a-longer-name on twisty, rtd3") as display:
            display.show(rows)
            display.say("a sentence of words " * 12 + "/with/a/path\n  and a command")
        lines = lines_of(screen)
        assert all(len(line) <= WIDTH for line in lines), lines
        table = [line for line in lines if "\u2502" in line]
        cells = {cell.strip() for line in table for cell in line.strip("\u2502").split("\u2502")}
        short = {name: text for name, text in rows.items() if name not in live_table.LONG}
        assert {*short, *short.values()} <= cells | {""}, "each in one cell of one line"
        text = " ".join(" ".join(lines).split())
        assert "faults: bad_frame 12, bad_line 3" in text and "waiting for: the cars: every replay item has been" in text
        assert "  and a command" in lines

    def test_markup_in_figures_is_text(self, screen):
        with Display("title") as display:
            display.show({"laps": "[red]1[/red]", "faults": "[blink]"})
        assert "[red]1[/red]" in screen.getvalue() and "[blink]" in screen.getvalue()


def everything():
    """The rows of a run in which everything is as long as it can get."""
    progress = Progress(
        env_steps=987_654_321, episodes=1_234_567, laps=1_234_567, crashes_collect=1_234_567, evaluations=98_765
    )
    faults = {"bad_frame": 12, "bad_line": 3, "dropped": 4, "login_refused": 5, "stalled": 66, "unreachable": 777}
    report = CollectorReport(
        faults=faults, frames_per_s=1234.5, late_share=1.0, weights_version=98_765_432, weights_age_s=1234.5
    )
    progress.add_collections([report])
    waiting = "the cars: every replay item has been trained on 16 times"
    replay = ReplayState(1_000_000, 9_000_000, 8_000_000, 1_000_000, 100, 4.0)
    learner = LearnerReport(98_765_432, 1234.5, replay, 1.0, {}, waiting)
    progress.add_learner(learner)
    for part in ("collector-10", "collector-11", "evaluator", "learner", "replay", "redis", "simulator-3"):
        progress.add_restart(part, "process ended")
    laps = [Lap(123.456, False)] * 100
    progress.add_evaluation(Evaluation(9, EvaluationResult(laps, 1, [OriginalEpisode(-1234.56, 9)], 9, 9.0), True), 8.0)
    return table_rows(progress, learner, 123_456.0, 360_000.0)


class TestRows:
    LEARNER = LearnerReport(1234, 56.7, ReplayState(2500, 9000, 8000, 10_000, 100, 4.0), 0.0, {})

    def test_at_the_start(self):
        rows = table_rows(Progress(), LearnerReport(0, 0.0, ReplayState(0, 0, 0, 100, 10, 4.0), 1.0, {}), 0.0, None)
        assert rows == {
            "time": "0:00",
            "env steps": "0 (0/s)",
            "camera": "0 fps a car, 0 % late",
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
            "restarts": "",
            "faults": "",
            "waiting for": "the first evaluation",
        }

    def test_on_the_way(self):
        progress = Progress()
        report = CollectorReport(
            12_345,
            laps=[Lap(9.0, True)],
            crashes=2,
            faults={"stalled": 3, "bad_line": 0},
            frames_per_s=58.7,
            late_share=0.124,
            weights_version=weights_version(3, 40),
            weights_age_s=0.26,
        )
        progress.add_collections([report])
        progress.add_learner(self.LEARNER)
        for part in ("learner", "collector-0", "learner"):
            progress.add_restart(part, "process ended")
        laps = [Lap(9.125, True), Lap(10.0, False)]
        progress.add_evaluation(Evaluation(40, EvaluationResult(laps, 1, [OriginalEpisode(12.34, 9)], 9, 9.0), True), 8.0)
        rows = table_rows(progress, self.LEARNER, 789.4, 65.9)
        assert rows == {
            "time": "0:00, 1:05 left",
            "env steps": "12,345 (789/s)",
            "camera": "59 fps a car, 12 % late",
            "train steps": "1,234 (57/s)",
            "replay": "2,500 of 10,000 (25 %)",
            "trained": "0.9 times each",
            "weights": "step 40, 0.3 s old",
            "episodes": "0",
            "laps": "1",
            "crashes": "2",
            "evaluations": "1",
            "return": "12.3",
            "clean laps": "1 of 2",
            "best lap": "9.12 s",
            "restarts": "collector-0 1, learner 2",
            "faults": "process ended 3, stalled 3",
            "waiting for": "",
        }

    def test_without_a_learner(self):
        rows = table_rows(Progress(train_steps=7), None, 0.0, None)
        assert (rows["train steps"], rows["replay"], rows["waiting for"]) == ("7", "-", "the learner")

    def test_what_the_learner_waits_for_comes_first(self):
        waiting = LearnerReport(1, 0.0, ReplayState(1, 1, 1, 9, 9, 4.0), 1.0, {}, "replay 11 %, warming")
        assert table_rows(Progress(), waiting, 0.0, None)["waiting for"] == "replay 11 %, warming"

    def test_an_evaluation_without_laps(self):
        progress = Progress()
        progress.add_evaluation(Evaluation(1, EvaluationResult([], 0, [], 0, 0.0), True), 8.0)
        rows = table_rows(progress, self.LEARNER, 0.0, 0.0)
        assert (rows["return"], rows["clean laps"], rows["best lap"], rows["time"]) == ("-", "0 of 0", "-", "0:00, 0:00 left")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3599, "59:59"), (3725, "1:02:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
