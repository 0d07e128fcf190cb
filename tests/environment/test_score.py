import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.car.laps import Lap
from robotini_ray.car.state import CarState
from robotini_ray.environment.reward import OriginalReward
from robotini_ray.environment.score import ORIGINAL_EPISODE_FRAMES, OriginalEpisode, RaceScore

SEGMENTS = 4
FRAME_S = 1 / 60
START = CarState("car", 1, 0.0, 0.0, 0.0, 0.048, 1.5, 1.5, 0.0, 0.0, 0, 0, 0, 0)


def drive(*segments, start=START, frames_each=1):
    """States of a car, the first is `start` itself; "crash" and "return" raise a counter of the next state."""
    states = [start]
    pending = {}
    for item in segments:
        if item in ("crash", "return"):
            key = {"crash": "crashes", "return": "returns"}[item]
            pending[key] = getattr(states[-1], key) + 1
            continue
        for _ in range(frames_each):
            last = states[-1]
            fields = {"frames_sent": last.frames_sent + 1, "game_time_s": last.game_time_s + FRAME_S, "track_segment": item}
            states.append(dataclasses.replace(last, **fields, **pending))
            pending = {}
    return states


def scored(*segments, **options):
    score = RaceScore(SEGMENTS)
    score.update(drive(*segments, **options))
    return score


def original_return(states):
    reward = OriginalReward(SEGMENTS)
    reward.reset(states[0])
    return sum(sum(reward.step([state]).values()) for state in states[1:])


class TestEpisodes:
    def test_they_end_at_the_line(self):
        score = scored(1, 2, 3, 0, 1, 2, 3, 0, 1)
        assert [episode.frames for episode in score.episodes] == [4, 4]

    def test_their_return_is_that_of_the_original_reward_from_line_to_line(self):
        states = drive(1, 2, "crash", 3, 0, 1, 1, 2, 3, 3, 0, frames_each=20)
        score = RaceScore(SEGMENTS)
        score.update(states)
        line = next(k for k in range(1, len(states)) if (states[k - 1].track_segment, states[k].track_segment) == (3, 0))
        end = max(k for k in range(1, len(states)) if (states[k - 1].track_segment, states[k].track_segment) == (3, 0))
        assert [episode.frames for episode in score.episodes] == [line, end - line]
        assert [episode.undiscounted_return for episode in score.episodes] == pytest.approx(
            [original_return(states[: line + 1]), original_return(states[line : end + 1])]
        )

    def test_they_end_after_two_thousand_frames(self):
        score = RaceScore(SEGMENTS)
        states = drive(*[1] * (2 * ORIGINAL_EPISODE_FRAMES + 1))
        score.update(states[:ORIGINAL_EPISODE_FRAMES])
        assert ORIGINAL_EPISODE_FRAMES == 2000 and score.episodes == []
        score.update(states[ORIGINAL_EPISODE_FRAMES:])
        assert [episode.frames for episode in score.episodes] == [2000, 2000]

    def test_they_end_at_a_return_to_the_track(self):
        score = scored(1, 1, "crash", "return", 1, 2, 2, "return", 1)
        assert [episode.frames for episode in score.episodes] == [3, 3]
        assert score.episodes[0].undiscounted_return == pytest.approx(original_return(drive(1, 1, "crash", "return", 1)))

    def test_a_crash_alone_does_not_end_one(self):
        assert scored(1, "crash", 1, 2, "crash", 2).episodes == []

    def test_the_line_backwards_does_not_end_one(self):
        assert scored(3, 2, 1, 0).episodes == []

    def test_from_the_start_behind_the_line_the_first_trigger_does_not_end_one(self):
        start = dataclasses.replace(START, track_segment=-1)
        score = scored(-1, 0, 1, 2, 3, 0, start=start)
        assert [episode.frames for episode in score.episodes] == [6]


class TestCounts:
    def test_crashes_frames_and_way(self):
        score = scored(1, "crash", 1, 2, "crash", 2, 3)
        assert (score.crashes, score.frames) == (2, 5)
        assert score.distance_m == pytest.approx(5 * 1.5 * FRAME_S)

    def test_crashes_before_the_first_state_are_not_the_cars(self):
        score = scored(1, "crash", 2, start=dataclasses.replace(START, crashes=7, returns=2))
        assert (score.crashes, score.episodes) == (1, [])

    def test_several_crashes_in_one_frame_all_count(self):
        score = RaceScore(SEGMENTS)
        score.update([START, dataclasses.replace(START, crashes=3)])
        assert score.crashes == 3

    def test_flying_laps_with_their_times(self):
        score = scored(1, 2, 3, 0, 1, 2, 3, 0, 1, "crash", 2, 3, 0, frames_each=30)
        assert [lap.clean for lap in score.laps] == [True, False]
        assert [lap.time_s for lap in score.laps] == pytest.approx([2.0, 2.0])
        assert len(score.episodes) == 3

    def test_no_lap_over_a_return(self):
        assert scored(1, 2, 3, 0, 1, "return", 1, 2, 3, 0).laps == []

    def test_way_is_in_game_time(self):
        score = RaceScore(SEGMENTS)
        score.update([START, dataclasses.replace(START, game_time_s=2.0, speed_m_s=3.0)])
        assert score.distance_m == 6.0

    def test_nothing_is_nothing(self):
        score = RaceScore(SEGMENTS)
        score.update([])
        assert score.take() == ([], [])
        score.update([START])
        assert (score.frames, score.crashes, score.distance_m) == (0, 0, 0.0)


class TestTaking:
    def test_what_is_taken_is_gone_but_counts_stay(self):
        score = scored("crash", 1, 2, 3, 0, 1, 2, 3, 0)
        laps, episodes = score.take()
        assert (len(laps), len(episodes)) == (1, 2)
        assert score.take() == ([], [])
        assert (score.crashes, score.frames) == (1, 8)
        assert isinstance(laps[0], Lap) and isinstance(episodes[0], OriginalEpisode)

    @settings(deadline=None, max_examples=50)
    @given(
        moves=st.lists(st.sampled_from([0, 1, 2, 3, "on", "on", "crash", "return"]), max_size=60),
        cuts=st.lists(st.integers(0, 60), max_size=5),
    )
    def test_it_does_not_matter_how_states_are_cut_into_calls(self, moves, cuts):
        segments, segment = [], 0
        for move in moves:
            if isinstance(move, int):
                segment = move
            elif move == "on":
                segment = (segment + 1) % SEGMENTS
            segments.append(move if move in ("crash", "return") else segment)
        states = drive(*segments)
        whole, cut = RaceScore(SEGMENTS), RaceScore(SEGMENTS)
        whole.update(states)
        edges = [0, *sorted(cuts), len(states)]
        for begin, end in itertools.pairwise(edges):
            cut.update(states[begin:end])
        assert cut.take() == whole.take()
        assert (cut.crashes, cut.frames, cut.distance_m) == (whole.crashes, whole.frames, whole.distance_m)


class TestLive:
    def test_the_numbers_are_of_the_episode_the_segment_and_the_lap_under_way(self):
        states = drive(1, 2, 3, 0, 1, 2, 3, 0, 1, 1, frames_each=10)
        score = RaceScore(SEGMENTS)
        score.update(states)
        live = score.live()
        assert (live["episode"], live["laps"], live["frames"]) == (3, 1, 100)
        assert live["step"] == 29, "frames since the line"
        assert live["segment_time_s"] == pytest.approx(19 * FRAME_S)
        assert live["lap_time_s"] == pytest.approx(29 * FRAME_S)
        assert live["last_lap_s"] == live["best_lap_s"] == pytest.approx(40 * FRAME_S)
        assert live["return"] == pytest.approx(original_return(states[-30:]))
        assert live["distance_m"] == pytest.approx(1.5 * 100 * FRAME_S)

    def test_laps_stay_counted_when_somebody_has_taken_them(self):
        score = scored(1, 2, 3, 0, 1, 2, 3, 0)
        score.take()
        score.update(drive(1, 1, 2, 3, 0, start=drive(1, 2, 3, 0, 1, 2, 3, 0)[-1])[1:])
        live = score.live()
        assert live["laps"] == 2
        assert live["best_lap_s"] == pytest.approx(4 * FRAME_S) and live["last_lap_s"] == pytest.approx(5 * FRAME_S)

    def test_a_car_that_was_put_back_has_no_lap_under_way(self):
        assert scored(1, 2, 3, 0, 1, "return", 1).live()["lap_time_s"] is None

    def test_before_the_first_state_there_is_nothing(self):
        live = RaceScore(SEGMENTS).live()
        assert (live["episode"], live["step"], live["laps"]) == (1, 0, 0)
        assert live["lap_time_s"] is live["best_lap_s"] is live["last_lap_s"] is None
