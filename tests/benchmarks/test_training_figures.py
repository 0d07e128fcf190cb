import pytest

from robotini_ray.benchmarks import lap_ratio, time_to_race
from robotini_ray.benchmarks.apparatus.figure import MeasurementError
from robotini_ray.benchmarks.apparatus.training_run import Milestones, milestones, run_launch
from tests.waiting import LONG_S

BEGAN_AT = 1000.0


def evaluation(passed_s, laps, clean=None, crashes=0, average_return=10.0, env_steps=0):
    return {
        "ended_at": BEGAN_AT + passed_s,
        "env_steps": env_steps,
        "laps": laps,
        "clean_laps": len(laps) if clean is None else clean,
        "crashes": crashes,
        "best_lap_s": min(laps, default=None),
        "average_return": average_return,
        "limit_s": 6.0,
    }


class TestMilestones:
    def test_of_a_run_that_learns_and_falls_back(self):
        evaluations = [
            evaluation(20.0, [], crashes=5, average_return=None),
            evaluation(40.0, [12.0], clean=0, crashes=1, average_return=20.0),
            evaluation(60.0, [11.0] * 6, average_return=50.0),
            evaluation(80.0, [11.0] * 4, average_return=60.0),
            evaluation(100.0, [7.8], average_return=100.0, env_steps=2 * 60 * 3600),
            evaluation(120.0, [], crashes=3, average_return=30.0),
        ]
        assert milestones(evaluations, BEGAN_AT) == Milestones(40.0, 80.0, 100.0, 2.0, 0.3)

    def test_a_crash_between_clean_laps_begins_the_count_anew(self):
        evaluations = [evaluation(20.0, [11.0] * 9), evaluation(40.0, [11.0], crashes=1), evaluation(60.0, [11.0] * 9)]
        assert milestones(evaluations, BEGAN_AT).clean_laps_s is None

    def test_an_evaluation_without_returns_afterwards_counts_as_nothing(self):
        evaluations = [evaluation(20.0, [11.0] * 10), evaluation(40.0, [], crashes=9, average_return=None)]
        assert milestones(evaluations, BEGAN_AT).worst_after == 0.0

    def test_a_lap_over_the_bots_is_none_of_its(self):
        assert milestones([evaluation(20.0, [6.0 * 1.31 + 0.01])], BEGAN_AT).bot_lap_s is None

    def test_of_nothing(self):
        assert milestones([], BEGAN_AT) == Milestones(None, None, None, None, None)


class TestRaceFigures:
    def test_median_and_worst(self):
        runs = [
            Milestones(30.0, 100.0, 300.0, 1.0, 0.95),
            Milestones(50.0, 300.0, 400.0, 2.0, 0.8),
            Milestones(70.0, *[None] * 4),
        ]
        figures = {figure.name: figure for figure in time_to_race.race_figures(runs, minutes=10.0)}
        assert figures["time_to_race"].spread == (50.0, 30.0, 70.0, 3) and figures["time_to_race"].met
        assert figures["time_to_race_clean_laps"].spread == (300.0, 100.0, 6000.0, 3)
        assert figures["time_to_race_clean_laps_reached"].spread.value == pytest.approx(2 / 3)
        assert figures["time_to_race_worst_after"].spread.low == 0.0

    @pytest.mark.parametrize("minutes", [0.5, 10.0])
    def test_what_was_never_reached_meets_no_target(self, minutes):
        figures = time_to_race.race_figures([Milestones(*[None] * 5)], minutes)
        assert {figure.met for figure in figures if figure.target} == {False}


class TestLapFigures:
    def test_ratio_and_crashes(self):
        ratio, crashes = lap_ratio.lap_figures("twisty", {"laps": [6.6, 7.2, 9.0], "limit_s": 6.0, "crashes": 2})
        assert (ratio.name, crashes.name) == ("lap_ratio_unseen", "lap_ratio_crashes_unseen")
        assert ratio.spread == pytest.approx((1.2, 1.1, 1.5, 3)) and ratio.met
        assert crashes.spread.value == 2 and crashes.met is False

    def test_no_lap_meets_no_target(self):
        ratio, _ = lap_ratio.lap_figures("default", {"laps": [], "limit_s": 6.0, "crashes": 0})
        assert ratio.met is False


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path):
    with pytest.raises(MeasurementError, match=r"launch evaluate ended with code 2: .*no/policy"):
        run_launch(["evaluate", "--policy", "no/policy"], tmp_path / "log", LONG_S, lambda: None)
