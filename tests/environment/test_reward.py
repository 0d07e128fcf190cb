import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.car.state import CarState
from robotini_ray.environment.reward import OriginalReward, ProgressReward, ProgressWeights
from robotini_ray.track.track import load_track

START = CarState("car", 1, 10.0, 0.0, 0.0, 0.048, 1.0, 1.0, 0.0, 0.0, -1, 0, 0, 0)


def paid(reward, *states):
    """The terms of one step that are not zero."""
    return {name: value for name, value in reward.step(states).items() if value}


class TestOriginalReward:
    @staticmethod
    def episode(segment=0, **fields):
        reward, first = OriginalReward(30), dataclasses.replace(START, track_segment=segment, **fields)
        reward.reset(first)
        return reward, first

    def test_next_segment_pays_and_quick_ones_pay_more(self):
        reward, state = self.episode(4)
        assert paid(reward, dataclasses.replace(state, track_segment=5, game_time_s=10.5)) == {
            "segment": 0.2, "quick": pytest.approx(2.0),
        }  # fmt: skip

    def test_a_slow_segment_pays_only_the_segment(self):
        reward, state = self.episode(4)
        assert paid(reward, dataclasses.replace(state, track_segment=5, game_time_s=11.0)) == {"segment": 0.2}

    def test_time_counts_from_the_last_segment(self):
        reward, state = self.episode(4)
        for number in (5, 6):
            terms = paid(reward, dataclasses.replace(state, track_segment=number, game_time_s=10 + 0.8 * (number - 4)))
            assert terms == {"segment": 0.2, "quick": pytest.approx(1 / 0.8)}

    def test_time_is_at_least_a_hundredth(self):
        reward, state = self.episode(4)
        assert paid(reward, dataclasses.replace(state, track_segment=5)) == {"segment": 0.2, "quick": 100.0}

    def test_the_line_pays_nothing_but_starts_the_clock(self):
        reward, state = self.episode(29)
        assert paid(reward, dataclasses.replace(state, track_segment=0, game_time_s=12.0)) == {}
        assert paid(reward, dataclasses.replace(state, track_segment=1, game_time_s=12.5)) == {
            "segment": 0.2, "quick": pytest.approx(2.0),
        }  # fmt: skip

    def test_the_first_trigger_pays_nothing(self):
        for segment in (0, 7):
            reward, state = self.episode(-1)
            assert paid(reward, dataclasses.replace(state, track_segment=segment, game_time_s=10.5)) == {}

    def test_a_skipped_segment_pays_nothing(self):
        reward, state = self.episode(4)
        assert paid(reward, dataclasses.replace(state, track_segment=6, game_time_s=10.5)) == {}

    def test_one_segment_back_is_taken_once(self):
        reward, state = self.episode(4)
        back = dataclasses.replace(state, track_segment=3)
        assert paid(reward, back) == {"back": -10.0}
        assert paid(reward, back) == {}
        assert paid(reward, dataclasses.replace(state, track_segment=1)) == {}

    def test_backwards_over_the_line_is_not_one_back(self):
        reward, state = self.episode(0)
        assert paid(reward, dataclasses.replace(state, track_segment=29)) == {}

    def test_a_crash_is_paid_once_a_step_with_the_speed_after_contact(self):
        reward, state = self.episode(4)
        contact = dataclasses.replace(state, crashes=1, speed_m_s=0.5)
        later = dataclasses.replace(state, crashes=3, speed_m_s=0.1)
        assert paid(reward, state, contact, later) == {"crash": pytest.approx(-2.5 * 1.5)}
        assert paid(reward, later) == {}
        assert paid(reward, dataclasses.replace(later, crashes=4, speed_m_s=2.0)) == {"crash": pytest.approx(-7.5)}

    def test_crashes_before_the_episode_do_not_count(self):
        reward, state = self.episode(4, crashes=5)
        assert paid(reward, state) == {}

    @pytest.mark.parametrize(("angle", "expected"), [(99, 0), (100, 0), (110, -1), (180, -8)])
    def test_the_wrong_way_costs_in_every_frame(self, angle, expected):
        reward, state = self.episode(4)
        wrong = dataclasses.replace(state, track_angle_deg=float(angle))
        assert sum(reward.step([wrong]).values()) == pytest.approx(expected)
        assert sum(reward.step([wrong, wrong]).values()) == pytest.approx(2 * expected)

    def test_the_wrong_way_is_free_before_the_first_segment(self):
        reward, state = self.episode(-1)
        assert paid(reward, dataclasses.replace(state, track_angle_deg=180.0)) == {}

    def test_the_step_that_ends_in_a_return_is_paid(self):
        reward, state = self.episode(4)
        ahead = dataclasses.replace(state, track_segment=5, game_time_s=10.5, crashes=1, speed_m_s=0.0)
        put_back = dataclasses.replace(ahead, returns=1)
        assert paid(reward, ahead, put_back) == {"segment": 0.2, "quick": pytest.approx(2.0), "crash": -2.5}

    def test_no_states_pay_nothing(self):
        reward, _ = self.episode(4)
        assert sum(reward.step([]).values()) == 0

    def test_reset_comes_first(self):
        with pytest.raises(RuntimeError, match="reset"):
            OriginalReward(30).step([START])

    def test_published_return_of_a_lap(self):
        """R = 5.8 + 883.5 / T for a lap of T seconds at constant speed over 30 segments, from the line to the line."""
        lap_s = 12.8
        reward, state = self.episode(29)
        reward.step([dataclasses.replace(state, track_segment=0, game_time_s=20.0)])
        total = 0.0
        for segment in range(1, 30):
            crossed_s = 20.0 + lap_s * (segment + 1) / 31
            terms = reward.step([dataclasses.replace(state, track_segment=segment, game_time_s=crossed_s)])
            total += sum(terms.values())
        total += sum(reward.step([dataclasses.replace(state, track_segment=0, game_time_s=20 + lap_s)]).values())
        assert total == pytest.approx(5.8 + 883.5 / lap_s)

    @given(
        data=st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 180), st.integers(0, 1)), min_size=1, max_size=12),
        cut=st.integers(0, 12),
    )
    def test_return_does_not_depend_on_frames_per_decision(self, data, cut):
        """Apart from crashes, of which one a step is paid: here at most one happens."""
        states = [
            dataclasses.replace(START, track_segment=segment, track_angle_deg=angle, game_time_s=10 + 0.3 * number)
            for number, (segment, angle, _) in enumerate(data)
        ]
        returns = []
        for steps in ([[state] for state in states], [states[:cut], states[cut:]]):
            reward = OriginalReward(5)
            reward.reset(START)
            returns.append(sum(sum(reward.step(step).values()) for step in steps))
        assert returns[0] == pytest.approx(returns[1])


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A circle of radius 2 m in four Bezier curves, driven clockwise as seen from above, from (0, 2) towards +x."""
    control = 4 / 3 * math.tan(math.pi / 8) * 2  # the usual approximation of a quarter circle, off by 0.03 %
    nodes = []
    for x, z, dx, dz in [(0, 2, 1, 0), (2, 0, 0, -1), (0, -2, -1, 0), (-2, 0, 0, 1), (0, 2, 1, 0)]:
        nodes.append(
            {
                "position": {"x": x, "y": 0, "z": z},
                "direction": {"x": x + control * dx, "y": 0, "z": z + control * dz},
                "up": {"x": 0, "y": 1, "z": 0},
                "scale": {"x": 1, "y": 1},
                "roll": 0,
            }
        )
    path = tmp_path_factory.mktemp("track") / "ring.json"
    path.write_text(json.dumps({"trackNodes": nodes}))
    return load_track(str(path))


def on_ring(track, arc_m, offset_m=0.0, **fields):
    x, z, heading = track.pose(arc_m)
    right_x, right_z = math.cos(heading), -math.sin(heading)
    return dataclasses.replace(START, x=x + offset_m * right_x, z=z + offset_m * right_z, **fields)


class TestProgressReward:
    @staticmethod
    def episode(track, arc_m=0.0, **weights):
        reward = ProgressReward(track, ProgressWeights(**weights))
        reward.reset(on_ring(track, arc_m))
        return reward

    def test_metres_along_the_line_are_paid(self, ring):
        reward = self.episode(ring, 1.0, progress_per_m=3.0)
        terms = reward.step([on_ring(ring, 1.1), on_ring(ring, 1.25)])
        assert terms["progress"] == pytest.approx(0.75, abs=1e-3)
        assert terms["crash"] == terms["wall"] == 0

    def test_going_back_is_taken(self, ring):
        reward = self.episode(ring, 1.0)
        assert reward.step([on_ring(ring, 0.8)])["progress"] == pytest.approx(-0.2, abs=1e-3)

    def test_progress_goes_on_over_the_line(self, ring):
        reward = self.episode(ring, ring.length_m - 0.1)
        assert reward.step([on_ring(ring, 0.1)])["progress"] == pytest.approx(0.2, abs=1e-3)
        assert reward.step([on_ring(ring, -0.1)])["progress"] == pytest.approx(-0.2, abs=1e-3)

    @settings(deadline=None, max_examples=30)
    @given(steps=st.lists(st.lists(st.floats(-0.3, 0.5), max_size=4), max_size=20), offset_m=st.floats(-0.4, 0.4))
    def test_a_drive_is_paid_its_length_whatever_the_steps(self, ring, steps, offset_m):
        reward = self.episode(ring)
        arc_m = total = 0.0
        for step in steps:
            states = []
            for metres in step:
                arc_m += metres
                states.append(on_ring(ring, arc_m, offset_m))
            total += reward.step(states)["progress"]
        assert total == pytest.approx(arc_m, abs=0.02)

    def test_being_put_back_adds_no_progress(self, ring):
        reward = self.episode(ring, 1.0)
        put_back = on_ring(ring, 5.0, returns=1)
        after = on_ring(ring, 5.1, returns=1)
        assert reward.step([on_ring(ring, 1.2), put_back, after])["progress"] == pytest.approx(0.3, abs=1e-3)

    def test_a_bridge_is_not_the_road_under_it(self, bridge_track):
        """Wherever an episode begins or the car is put back: the place is on the level that the car is on."""

        def at(arc_m, **fields):
            return on_ring(bridge_track, arc_m, y=bridge_track.height(arc_m) + 0.048, **fields)

        bridge_m = bridge_track.locate(0.0, 0.0, bridge_track.length_m / 2).arc_m
        for level_m, other_m in ((0.0, bridge_m), (bridge_m, 0.0)):
            reward = ProgressReward(bridge_track, ProgressWeights())
            reward.reset(at(level_m))
            assert reward.step([at(level_m + 0.2)])["progress"] == pytest.approx(0.2, abs=1e-3)
            put_back = [at(other_m, returns=1), at(other_m + 0.1, returns=1)]
            assert reward.step(put_back)["progress"] == pytest.approx(0.1, abs=1e-3)

    def test_a_crash_is_taken_once_a_step_with_its_speed(self, ring):
        reward = self.episode(ring, crash_penalty=2.0)
        first, second = on_ring(ring, 0, crashes=1, speed_m_s=1.5), on_ring(ring, 0, crashes=2, speed_m_s=9.0)
        assert reward.step([first, second])["crash"] == pytest.approx(-5.0)
        assert reward.step([second])["crash"] == 0

    def test_time_at_a_wall(self, ring):
        reward = self.episode(ring, wall_per_s=2.0)
        states = [
            on_ring(ring, 0.0, 0.37, game_time_s=10.1),
            on_ring(ring, 0.0, 0.39, game_time_s=10.2),
            on_ring(ring, 0.0, -0.39, game_time_s=10.4),
        ]
        assert reward.step(states)["wall"] == pytest.approx(-0.6)

    def test_sum_is_the_reward_and_names_do_not_change(self, ring):
        reward = self.episode(ring)
        assert reward.step([]) == {"progress": 0.0, "crash": 0.0, "wall": 0.0}

    def test_reset_comes_first(self, ring):
        with pytest.raises(RuntimeError, match="reset"):
            ProgressReward(ring, ProgressWeights()).step([START])
