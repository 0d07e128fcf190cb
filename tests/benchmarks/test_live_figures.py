"""Figures of the running program: what readings come to, and one whole program for all that is timed in it."""

import dataclasses
import socket
import time
from pathlib import Path

import pytest

import robotini_ray
from robotini_ray.benchmarks import deadline, learner, overlap, publish, tabs
from robotini_ray.benchmarks.apparatus.live_program import Rate, live_config
from robotini_ray.benchmarks.apparatus.matrix_products import Product, product_function, train_step_products
from robotini_ray.benchmarks.apparatus.timed_collector import TimedSocket
from robotini_ray.benchmarks.overlap import Both
from robotini_ray.replay.table import WindowLayout


@pytest.fixture
def package_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(robotini_ray.__file__).parents[1]))


def values(figures):
    return {figure.name: figure.spread.value for figure in figures}


def test_the_learner_is_held_against_its_products():
    found = values(learner.learner_figures([Rate(60.0, 0.01), Rate(50.0, 0.03)], [Rate(100.0), Rate(100.0)], 3_000_000))
    assert found["learner_mfu"] == pytest.approx(0.55)
    assert found["learner_waiting"] == pytest.approx(0.02)
    assert found["learner_products"] == pytest.approx(10.0) and found["learner_step_mflop"] == 3.0


def test_old_weights_of_one_stretch_are_not_hidden_by_the_others():
    cost, age = publish.publish_figures([0.01, 0.02, 0.03], [[100.0] * 50, [100.0] * 40 + [900.0] * 10, [100.0] * 50])
    assert cost.spread.value == 0.02 and cost.met is False
    assert age.spread == pytest.approx((900.0, 100.0, 900.0, 3)) and age.met is False


def test_late_answers_count_against_those_of_the_control():
    busy, control, late, late_control = deadline.deadline_figures([[1.0] * 9 + [20.0], [1.0] * 10], [[1.0] * 10] * 2)
    assert busy.spread.high > 15 and control.spread.value == 1.0
    assert late.spread == pytest.approx((0.05, 0.0, 0.1, 2)) and late.met is False
    assert late_control.spread.value == 0.0


def test_tabs_cost_the_share_of_frames_that_is_lost():
    assert tabs.tabs_figure("tabs", "realtime", [360.0, 350.0, 340.0], [342.0, 350.0, 357.0]).spread.value == 0.0
    assert tabs.tabs_figure("tabs", "realtime", [400.0], [300.0]).spread.value == pytest.approx(0.25)


def test_overlap_is_the_sum_of_what_both_keep():
    found = values(overlap.overlap_figures([Both(360.0, 0.0)], [Both(324.0, 40.0)], [Both(0.0, 50.0)]))
    assert found == pytest.approx({"overlap": 1.7, "overlap_collecting": 0.9, "overlap_training": 0.8})


class TestMatrixProducts:
    @pytest.fixture(scope="class")
    def found(self):
        return train_step_products(live_config())

    def test_those_of_both_gradients_are_found(self, found):
        """A dense layer's gradient has the forward product's number of operations again for the kernel."""
        config = live_config()
        batch, units = config.agent.batch_size, config.agent.lstm_units
        step_of_an_lstm = 2 * batch * units * 4 * units
        assert all(product.flops > 0 for product in found)
        rows = WindowLayout.from_config(config).rows
        recurrent = [product for product in found if product.flops == step_of_an_lstm]
        assert len(recurrent) > 4 * rows  # actor, critic and both targets, and backwards through two of them

    def test_a_wider_network_has_more(self, found):
        config = live_config()
        agent = dataclasses.replace(config.agent, lstm_units=128)
        wide = dataclasses.replace(config, agent=agent)
        assert sum(p.flops for p in train_step_products(wide)) > 1.5 * sum(p.flops for p in found)

    def test_every_product_is_in_the_graph_that_is_timed(self):
        run = product_function([Product(3, 4, 5, True, False), Product(3, 4, 5, True, False), Product(2, 4, 6, False, True)])
        operations = run.get_concrete_function().graph.get_operations()
        shapes = [tuple(op.outputs[0].shape) for op in operations if op.type == "MatMul"]
        assert shapes == [(3, 5), (3, 5), (2, 6)]
        assert run().numpy() == 0


class TestTimedSocket:
    def test_it_counts_from_the_arrival_and_not_from_the_read(self):
        answers_s = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            connected = socket.create_connection(server.getsockname())
            simulator, _ = server.accept()
            with simulator, TimedSocket(connected, answers_s) as car:
                for _ in range(2):  # the kernel may stamp no packet that came before it was asked to
                    simulator.sendall(b"frame")
                    time.sleep(0.1)
                    buffer = bytearray(10)
                    assert car.recv_into(memoryview(buffer)) == 5 and buffer[:5] == b"frame"
                    car.send(b"answer")
                    car.send(b"more")
                assert simulator.recv(20, socket.MSG_WAITALL) == b"answermoreanswermore"
        assert 1 <= len(answers_s) <= 2
        assert answers_s[-1] >= 0.095


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("package_path")
@pytest.mark.parametrize("measure", [learner.measure, publish.measure, deadline.measure, overlap.measure])
def test_a_short_measurement_of_the_real_program(measure):
    said = []
    figures = measure(said.append, window_s=0.5, rounds=2)
    assert figures[0].target is not None and figures[0].pace == "realtime"
    assert all(figure.spread.value >= 0 for figure in figures) and figures[0].spread.value > 0
    assert said[-1].endswith("round 2 of 2")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("package_path")
def test_a_short_measurement_with_people_who_watch():
    (figure,) = tabs.measure_lockstep(lambda line: None, window_s=1.0, rounds=2)
    assert figure.name == "tabs_lockstep" and figure.pace == "max"
    assert figure.spread.low < 1
