import dataclasses
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.car.errors import FAULTS
from robotini_ray.car.laps import Lap
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.run import progress as progress_module
from robotini_ray.run.course import Course
from robotini_ray.run.progress import Progress, StepRate
from robotini_ray.run.reports import (
    CollectorReport,
    Evaluation,
    EvaluationResult,
    LearnerReport,
    ReplayState,
    train_step_of,
    weights_version,
)
from tests.fake_time import FakeTime

LIMIT_S = 8.0
SUMMARY_KEYS = {
    "env_steps",
    "decisions",
    "train_steps",
    "wall_s",
    "replay_ratio",
    "best_lap_s",
    "median_lap_s",
    "limit_s",
    "ratio_to_limit",
    "crashes",
    "reconnects",
    "faults",
    "average_return",
    "average_episode_length",
    "first_clean_lap",
    "restarts",
}
NO_FAULTS = dict.fromkeys(FAULTS, 0)


@pytest.fixture
def clock(monkeypatch):
    return FakeTime(monkeypatch, progress_module)


def result(*lap_times_s, clean=None, crashes=0, returns=(10.0,), frames=600, distance_m=20.0):
    """An evaluation with these laps, of which the first `clean` (None: all) touched nothing."""
    clean = len(lap_times_s) if clean is None else clean
    laps = [Lap(time_s, number < clean) for number, time_s in enumerate(lap_times_s)]
    return EvaluationResult(laps, crashes, [OriginalEpisode(value, 300) for value in returns], frames, distance_m)


def learner_report(train_step):
    return LearnerReport(train_step, 10.0, ReplayState(5, 8, 20, 100, 10, 4.0), 0.0, {})


def resumed(progress):
    """The progress of the next invocation, through the file of a checkpoint."""
    return Progress(**json.loads(json.dumps(progress.to_json(), allow_nan=False)))


REPORTS = st.builds(
    CollectorReport,
    env_steps=st.integers(0, 1000),
    decisions=st.integers(0, 300),
    crashes=st.integers(0, 5),
    reconnect_causes=st.dictionaries(st.sampled_from(FAULTS), st.integers(1, 2)),
    faults=st.fixed_dictionaries({cause: st.integers(0, 3) for cause in FAULTS}),
    laps=st.lists(st.builds(Lap, st.floats(5, 20), st.booleans()), max_size=3),
    episodes=st.lists(st.builds(OriginalEpisode, st.floats(-50, 50), st.integers(1, 2000)), max_size=3),
    weights_version=st.integers(-1, 100),
)


class TestCounters:
    @settings(deadline=None)
    @given(invocations=st.lists(st.lists(st.lists(REPORTS, min_size=1, max_size=3), max_size=3), min_size=1, max_size=4))
    def test_they_add_up_over_collectors_and_resumes(self, invocations):
        progress = Progress()
        for rounds in invocations:
            for reports in rounds:
                progress.add_collections(reports)
            progress = resumed(progress)
        every = [report for rounds in invocations for reports in rounds for report in reports]
        assert progress.env_steps == sum(report.env_steps for report in every)
        assert progress.decisions == sum(report.decisions for report in every)
        assert progress.crashes_collect == sum(report.crashes for report in every)
        assert progress.reconnects == sum(report.reconnects for report in every)
        assert progress.faults == {cause: sum(report.faults[cause] for report in every) for cause in FAULTS}
        assert progress.laps == sum(len(report.laps) for report in every)
        assert progress.episodes == sum(len(report.episodes) for report in every)

    def test_everything_of_an_evaluation_survives_a_resume(self):
        progress = Progress()
        progress.add_evaluation(Evaluation(5, result(9.0, 10.0, crashes=2), True), LIMIT_S)
        progress.add_learner(learner_report(77))
        again = resumed(progress)
        wall = {"wall_s": None}
        assert {**again.summary(LIMIT_S), **wall} == {**progress.summary(LIMIT_S), **wall}
        assert (again.evaluations, again.train_steps, again.crashes_evaluate) == (1, 77, 2)
        assert again.summary(LIMIT_S)["replay_ratio"] == 2.5  # 20 samples of 8 items

    def test_wall_time_is_that_of_all_invocations(self, clock):
        progress = Progress()
        clock.now_s += 100
        progress = resumed(progress)
        clock.now_s += 20
        assert (progress.wall_s, progress.this_wall_s) == (120.0, 20.0)
        progress = resumed(resumed(progress))
        assert (progress.wall_s, progress.this_wall_s) == (120.0, 0.0)

    def test_the_oldest_weights_count(self):
        progress = Progress()
        assert progress.weights_version == -1
        progress.add_collections(
            [CollectorReport(weights_version=7, weights_age_s=0.1), CollectorReport(weights_version=5, weights_age_s=2.0)]
        )
        assert (progress.weights_version, progress.weights_age_s) == (5, 2.0)

    def test_frame_rates_are_the_mean_and_lateness_the_worst(self):
        progress = Progress()
        progress.add_collections(
            [CollectorReport(frames_per_s=60.0, late_share=0.0), CollectorReport(frames_per_s=20.0, late_share=0.5)]
        )
        scalars = progress.collection_scalars()
        assert (scalars["rates/frames_per_s"], scalars["rates/late_share"]) == (40.0, 0.5)

    def test_faults_are_counted_by_cause(self):
        progress = Progress()
        progress.add_collections(
            [CollectorReport(faults={**NO_FAULTS, "stalled": 2, "bad_line": 7}, reconnect_causes={"stalled": 2, "dropped": 1})]
        )
        assert progress.summary(LIMIT_S)["faults"] == {**NO_FAULTS, "stalled": 2, "bad_line": 7}
        assert progress.summary(LIMIT_S)["reconnects"] == 3
        assert progress.reconnect_causes == {"stalled": 2, "dropped": 1}
        scalars = progress.collection_scalars()
        assert (scalars["faults/stalled"], scalars["faults/bad_line"], scalars["faults/dropped"]) == (2, 7, 0)

    def test_a_run_from_before_a_cause_was_counted_goes_on(self):
        earlier = Progress().to_json()
        del earlier["faults"]["stalled"]
        progress = Progress(**earlier)
        progress.add_collections([CollectorReport(faults={**NO_FAULTS, "stalled": 1})])
        assert progress.faults == {**NO_FAULTS, "stalled": 1}

    def test_scalars_are_those_since_the_last_call(self):
        progress = Progress()
        rates = dict.fromkeys(("rates/frames_per_s", "rates/late_share", "rates/frame_age_s"), 0.0)
        rest = {"connections/reconnects": 0, **rates, **{f"faults/{cause}": 0 for cause in FAULTS}}
        none = {f"driving/{name}": 0 for name in ("env_steps", "episodes", "laps", "crashes")}
        assert progress.collection_scalars() == {**none, **rest}
        progress.add_collections(
            [
                CollectorReport(env_steps=5, laps=[Lap(9.0, True)], episodes=[OriginalEpisode(4.0, 9)]),
                CollectorReport(env_steps=6, laps=[Lap(8.5, False)], episodes=[OriginalEpisode(8.0, 9)], crashes=1),
            ]
        )
        counters = {"driving/env_steps": 11, "driving/episodes": 2, "driving/laps": 2, "driving/crashes": 1, **rest}
        laps = {"driving/average_return": 6.0, "driving/best_lap_s": 8.5}
        assert progress.collection_scalars() == {**counters, **laps}
        assert progress.collection_scalars() == counters


class TestSummary:
    def test_a_run_that_has_just_begun(self, clock):
        summary = Progress().summary(LIMIT_S)
        assert summary == {
            "env_steps": 0,
            "decisions": 0,
            "train_steps": 0,
            "wall_s": 0.0,
            "replay_ratio": 0.0,
            "best_lap_s": None,
            "median_lap_s": None,
            "limit_s": LIMIT_S,
            "ratio_to_limit": None,
            "crashes": {"collect": 0, "evaluate": 0},
            "reconnects": 0,
            "faults": NO_FAULTS,
            "average_return": None,
            "average_episode_length": None,
            "first_clean_lap": None,
            "restarts": {},
        }
        assert set(summary) == SUMMARY_KEYS

    def test_best_lap_is_of_all_median_of_the_best_policy_and_return_of_the_last(self, clock):
        progress = Progress()
        progress.add_collections([CollectorReport(env_steps=50, decisions=17, crashes=3)])
        clock.now_s += 30
        progress.add_evaluation(Evaluation(1, result(10.0, 12.0, 14.0, crashes=1), True), LIMIT_S)
        progress.add_evaluation(Evaluation(2, result(9.0, 30.0, 31.0, crashes=4, returns=(1.0, 3.0)), False), LIMIT_S)
        summary = progress.summary(LIMIT_S)
        assert set(summary) == SUMMARY_KEYS
        assert (summary["best_lap_s"], summary["median_lap_s"], summary["ratio_to_limit"]) == (9.0, 12.0, 1.5)
        assert summary["crashes"] == {"collect": 3, "evaluate": 5}
        assert (summary["average_return"], summary["average_episode_length"]) == (2.0, 300.0)
        assert summary["first_clean_lap"] == {"wall_s": 30.0, "env_steps": 50}
        json.dumps(summary, allow_nan=False)

    def test_an_evaluation_of_nothing_is_strict_json(self):
        progress = Progress()
        progress.add_evaluation(Evaluation(1, EvaluationResult([], 0, [], 0, 0.0), True), LIMIT_S)
        text = json.dumps([progress.summary(LIMIT_S), progress.to_json()], allow_nan=False)
        assert json.loads(text)[0]["median_lap_s"] is None

    def test_the_record_of_an_evaluation_says_when_it_ended(self, clock):
        clock.time = lambda: 1.7e9
        progress = Progress(earlier_wall_s=100.0, env_steps=300)
        clock.now_s += 20.0
        evaluation = Evaluation(7, result(9.0, 10.0, crashes=1), True)
        progress.add_evaluation(evaluation, LIMIT_S)
        record = progress.evaluation_record(evaluation)
        when = {"ended_at": 1.7e9, "wall_s": 120.0, "env_steps": 300, "best": True}
        assert record == {**when, "train_step": 7, **evaluation.result.to_json(LIMIT_S)}

    def test_the_first_clean_lap_is_kept(self, clock):
        progress = Progress()
        progress.add_evaluation(Evaluation(1, result(9.0, clean=0), True), LIMIT_S)
        assert progress.first_clean_lap is None
        clock.now_s += 10
        progress.add_evaluation(Evaluation(2, result(9.0), True), LIMIT_S)
        clock.now_s += 10
        progress = resumed(progress)
        progress.add_evaluation(Evaluation(3, result(8.5), True), LIMIT_S)
        assert progress.summary(LIMIT_S)["first_clean_lap"] == {"wall_s": 10.0, "env_steps": 0}


class TestCourse:
    HERE, ELSEWHERE = Course("aa", 3, LIMIT_S), Course("bb", 3, 2 * LIMIT_S)

    def driven(self):
        progress = Progress()
        assert not progress.begin_on(self.HERE)
        progress.add_evaluation(Evaluation(5, result(9.0, 10.0), True), LIMIT_S)
        return resumed(progress)

    def test_on_the_same_one_the_best_results_stay(self):
        progress = self.driven()
        assert not progress.begin_on(self.HERE)
        assert (progress.best_lap_s, progress.summary(LIMIT_S)["median_lap_s"]) == (9.0, 9.5)

    @pytest.mark.parametrize(
        "other", [ELSEWHERE, dataclasses.replace(HERE, laps=2), dataclasses.replace(HERE, track_sha256="c")]
    )
    def test_on_another_one_they_begin_anew_and_no_lap_is_divided_by_a_limit_of_another_track(self, other):
        progress = self.driven()
        assert progress.begin_on(other)
        summary = progress.summary(other.limit_s)
        assert (summary["best_lap_s"], summary["median_lap_s"], summary["ratio_to_limit"]) == (None, None, None)
        assert not resumed(progress).begin_on(other), "said once"
        progress.add_evaluation(Evaluation(6, result(30.0), True), other.limit_s)
        assert progress.summary(other.limit_s)["ratio_to_limit"] == 30.0 / other.limit_s

    @pytest.mark.parametrize(("course", "anew"), [(HERE, False), (ELSEWHERE, True)])
    def test_counters_from_before_are_judged_by_the_limit(self, course, anew):
        saved = self.driven().to_json()
        del saved["course"]
        assert Progress(**saved).begin_on(course) is anew


class TestFaults:
    def test_restarts_are_counted_by_part_and_faults_by_cause_and_a_resumed_run_goes_on_counting(self, clock):
        progress = Progress()
        progress.add_restart("learner", "process ended")
        progress.add_restart("collector-0", "process ended")
        progress = resumed(progress)
        progress.add_restart("learner", "no answer")
        progress.add_fault("checkpoint failed")
        summary = progress.summary(LIMIT_S)
        assert summary["restarts"] == {"learner": 2, "collector-0": 1}
        assert summary["faults"] == {**NO_FAULTS, "process ended": 2, "no answer": 1, "checkpoint failed": 1}

    def test_nothing_from_the_collectors_leaves_the_weights_as_they_were(self, clock):
        progress = Progress()
        progress.add_collections([CollectorReport(5, weights_version=weights_version(2, 30))])
        progress.add_collections([])
        assert (progress.env_steps, progress.weights_version) == (5, 30)


class TestWeightsVersion:
    def test_it_grows_from_life_to_life_though_the_train_step_goes_back(self):
        versions = [weights_version(life, step) for life, step in ((0, 0), (0, 9), (1, 4), (1, 10**9), (2, 0))]
        assert versions == sorted(set(versions))
        assert [train_step_of(version) for version in versions] == [0, 9, 4, 10**9, 0]
        assert train_step_of(-1) == -1

    @pytest.mark.parametrize(
        ("version", "train_steps", "lag"),
        [(-1, 50, 0), (0, 50, 50), (30, 50, 20), (50, 50, 0), (weights_version(1, 30), 50, 20)],
    )
    def test_weights_lag_behind_the_learner_by_train_steps(self, version, train_steps, lag):
        progress = Progress()
        progress.add_learner(learner_report(train_steps))
        progress.add_collections([CollectorReport(weights_version=version)])
        assert progress.weights_lag_steps == lag

    def test_weights_of_a_life_that_had_come_further_are_not_behind(self):
        progress = Progress()
        progress.add_collections([CollectorReport(weights_version=weights_version(0, 90))])
        progress.add_learner(learner_report(60))
        assert progress.weights_lag_steps == 0


class TestTimeLeft:
    @pytest.mark.parametrize(
        ("by_clock_s", "train_steps", "left_s"),
        [(None, None, None), (7.0, None, 7.0), (None, 150, 5.0), (7.0, 150, 5.0), (3.0, 150, 3.0), (None, 90, 0.0)],
    )
    def test_the_nearer_end_counts(self, by_clock_s, train_steps, left_s):
        progress, report = Progress(), learner_report(100)  # at 10 steps a second
        progress.add_learner(report)
        assert progress.time_left_s(by_clock_s, train_steps, report) == left_s

    @pytest.mark.parametrize("report", [None, LearnerReport(100, 0.0, ReplayState(5, 8, 20, 100, 10, 4.0), 1.0, {})])
    def test_a_learner_that_stands_still_tells_nothing(self, report):
        assert Progress().time_left_s(None, 150, report) is None
        assert Progress().time_left_s(7.0, 150, report) == 7.0


class TestActions:
    @pytest.mark.parametrize(
        ("action", "bin_"), [(-1.0, 0), (-0.95, 0), (-0.85, 1), (-0.01, 9), (0.01, 10), (0.99, 19), (1.0, 19)]
    )
    def test_one_is_counted_in_its_bin(self, action, bin_):
        report = CollectorReport()
        report.add_action([action, 0.55])
        assert [counts.index(1) for counts in report.actions] == [bin_, 15]
        assert sum(map(sum, report.actions)) == 2

    def test_histograms_are_those_since_the_last_call(self):
        progress = Progress()
        assert progress.action_histograms() == {}
        one, other = CollectorReport(), CollectorReport()
        one.add_action([0.55, -1.0])
        other.add_action([0.55, 1.0])
        progress.add_collections([one, other])
        found = progress.action_histograms()
        assert set(found) == {"actions/throttle", "actions/turn"}
        assert found["actions/throttle"].edges[0] == -1.0 and found["actions/throttle"].edges[-1] == 1.0
        assert found["actions/throttle"].counts[15] == 2 and sum(found["actions/throttle"].counts) == 2
        assert (found["actions/turn"].counts[0], found["actions/turn"].counts[19]) == (1, 1)
        assert progress.action_histograms() == {}


class TestEvaluationResult:
    def test_rank_goes_by_clean_laps_then_crashes_then_median_then_return(self):
        worst_to_best = [
            EvaluationResult([], 9, [], 60, 1.0),
            result(returns=(-5.0,)),
            result(returns=(5.0,)),
            result(9.0, 9.0, clean=0, returns=(-1.0,)),
            result(8.0, 8.0, clean=0, returns=(-1.0,)),
            result(30.0, clean=1),
            result(8.0, 12.0, 12.0, clean=2),
            result(20.0, 20.0, 20.0, clean=2, returns=(99.0,)),
            result(7.0, 7.0, 7.0, crashes=1, returns=(99.0,)),
            result(10.0, 11.0, 10.0),
            result(9.0, 9.5, 30.0, returns=(1.0,)),
            result(9.0, 9.5, 30.0, returns=(2.0,)),
        ]
        # the seventh has the better median of those with two clean laps
        worst_to_best[6], worst_to_best[7] = worst_to_best[7], worst_to_best[6]
        ranks = [found.rank() for found in worst_to_best]
        assert all(worse < better for worse, better in itertools.pairwise(ranks))

    def test_a_rank_is_above_that_of_no_policy(self):
        assert EvaluationResult([], 9, [], 60, 1.0).rank() > (-1.0,)

    def test_figures(self):
        found = result(10.0, 8.0, 9.0, 20.0, clean=3, crashes=2, returns=(1.0, 4.0), frames=1200, distance_m=30.0)
        assert found.to_json(LIMIT_S) == {
            "episodes": 2,
            "laps": [10.0, 8.0, 9.0, 20.0],
            "best_lap_s": 8.0,
            "median_lap_s": 9.5,
            "clean_laps": 3,
            "crashes": 2,
            "average_return": 2.5,
            "average_episode_length": 300.0,
            "average_speed_m_s": 1.5,
            "limit_s": LIMIT_S,
            "ratio_to_limit": 9.5 / LIMIT_S,
        }

    def test_of_nothing_figures_are_none(self):
        found = EvaluationResult([], 0, [], 0, 0.0).to_json(LIMIT_S)
        empty = {key for key, value in found.items() if value is None}
        assert empty == {
            "best_lap_s", "median_lap_s", "average_return", "average_episode_length", "average_speed_m_s", "ratio_to_limit",
        }  # fmt: skip
        assert (found["laps"], found["episodes"], found["limit_s"]) == ([], 0, LIMIT_S)

    def test_scalars_leave_out_what_there_was_none_of(self):
        assert Evaluation(1, EvaluationResult([], 2, [], 0, 0.0), False).scalars() == {"laps/clean": 0, "laps/crashes": 2}
        scalars = Evaluation(1, result(9.0, 11.0, clean=1, returns=(1.0, 3.0)), True).scalars()
        assert scalars == {
            "episodes/average_return": 2.0,
            "episodes/min_return": 1.0,
            "episodes/max_return": 3.0,
            "episodes/average_frames": 300.0,
            "laps/best_s": 9.0,
            "laps/median_s": 10.0,
            "laps/clean": 1,
            "laps/crashes": 0,
        }


class TestReplayState:
    @pytest.mark.parametrize(
        ("items", "inserted", "sampled", "samples", "allowed"),
        [(9, 9, 0, 1, False), (10, 10, 0, 40, True), (10, 10, 0, 41, False), (10, 30, 100, 20, True), (10, 30, 101, 20, False)],
    )
    def test_samples_wait_for_a_first_filling_and_for_the_ratio(self, items, inserted, sampled, samples, allowed):
        assert ReplayState(items, inserted, sampled, 100, 10, 4.0).allows(samples) is allowed


class TestStepRate:
    def test_a_steady_rate_is_found_at_once_and_kept(self, clock):
        rate = StepRate()
        for steps in range(0, 5000, 100):
            rate.update(steps)
            assert rate.per_s == (200.0 if steps else 0.0)
            clock.now_s += 0.5

    def test_a_change_is_smoothed_but_arrives(self, clock):
        rate, steps = StepRate(), 0
        seen = []
        for per_round in [100] * 4 + [0] * 40:
            rate.update(steps)
            steps += per_round
            clock.now_s += 0.5
            seen.append(rate.per_s)
        assert all(later <= earlier for earlier, later in itertools.pairwise(seen[2:]))
        assert 0 < seen[8] < 200 and seen[-1] < 2

    def test_two_updates_at_one_moment(self, clock):
        rate = StepRate()
        rate.update(5)
        rate.update(9)
        assert rate.per_s == 0.0
