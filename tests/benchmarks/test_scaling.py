import os
import socket
import socketserver
import threading
from pathlib import Path

import pytest

from robotini_ray.benchmarks import scaling
from robotini_ray.benchmarks.apparatus.relay import Relay
from robotini_ray.benchmarks.scaling import CLASSES, Reading, part_pids, rate_figures, wire_figures
from robotini_ray.benchmarks.wire import LEAST_FRAMES, Bytes, Wire, read_wire
from robotini_ray.config import load_config
from tests.waiting import LONG_S

LEAST_STATE_BYTES = 200
"""Every frame of a car comes with a status, which has the states of all cars, also those of others."""


class Upper(socketserver.BaseRequestHandler):
    """Answers every block with two copies of it in capitals."""

    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(2 * data.upper())


@pytest.fixture
def echo():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upper) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_relay_hands_on_and_counts_both_directions(echo):
    with Relay(echo) as relay:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", relay.port), timeout=LONG_S) as client:
                client.sendall(b"hello")
                assert client.makefile("rb").read(10) == b"HELLOHELLO"
        assert (relay.to_server_bytes, relay.to_client_bytes) == (10, 20)


def test_parts_are_found_by_the_logs_that_they_hold_open(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    with (logs / "replay.log").open("w"):
        assert part_pids(tmp_path) == {os.getpid(): "replay"}
    with (logs / "other.log").open("w"), (tmp_path / "replay.log").open("w"):
        assert part_pids(tmp_path) == {}


def test_rows_of_rates():
    cpu = dict.fromkeys(CLASSES, 1e-5)
    readings = {(1, 1): Reading(100.0, 7.0, cpu), (1, 4): Reading(250.0, 5.0, cpu), (2, 4): Reading(200.0, 6.0, cpu)}
    rows = {figure.name: (figure.spread.value, figure.unit) for figure in rate_figures(readings)}
    assert next(iter(rows)) == "scaling" and rows["scaling"] == (2.5, "x 1 car")
    assert rows["scaling_collect_2_nodes_4_cars"] == (200.0, "frames/s")
    assert rows["scaling_train_1_nodes_1_cars"] == (7.0, "steps/s")
    assert rows["scaling_cpu_redis_1_nodes_4_cars"] == (pytest.approx(10.0), "us/frame")


def test_rows_of_bytes_are_for_one_car_but_for_the_spectators():
    wire = Wire(
        Bytes(60, 20, 60_000, 3000, 18_000, 5000, 6000), Bytes(120, 40, 120_000, 6000, 24_000, 10_000, 12_000), 2, 50.0, 999
    )
    rows = {figure.name.removeprefix("scaling_bytes_"): figure.spread.value for figure in wire_figures(wire)}
    assert rows["camera_1_car"] == rows["camera_2_cars"] == 1000
    assert (rows["spectator_1_car"], rows["spectator_2_cars"]) == (300, 400)
    assert rows["redis_1_car"] == rows["redis_2_cars"] == 5000
    assert rows["replay_insert_1_car"] == rows["replay_insert_2_cars"] == 300
    assert (rows["replay_sample"], rows["weights"]) == (50, 999)


def test_bytes_of_a_real_collector():
    wire = read_wire(load_config(scaling.QUICKSTART, {}), cars=2, window_s=0.5)
    layout_row_bytes = 4 * 119
    for stretch, cars in ((wire.one, 1), (wire.more, 2)):
        assert stretch.frames >= LEAST_FRAMES * cars and stretch.decisions > 0
        assert 200 < stretch.car_frames / stretch.frames < 20_000
        assert 10 < stretch.car_commands / stretch.frames < 200
        assert 0 < stretch.replay_insert / stretch.decisions < 20 * layout_row_bytes
        assert stretch.redis > 0
        assert stretch.spectator / stretch.frames > LEAST_STATE_BYTES
    assert 20 < wire.sample_bytes < 20 * layout_row_bytes
    assert wire.weights_bytes > 4 * 128 * 128


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_trainings_on_one_node_and_on_two():
    figures = scaling.measure(lambda line: None, cars=(1, 2), nodes=(1, 2), window_s=5.0, wire_window_s=2.0)
    rows = {figure.name: figure.spread.value for figure in figures}
    for nodes in (1, 2):
        assert rows[f"scaling_collect_{nodes}_nodes_2_cars"] > 0 and rows[f"scaling_train_{nodes}_nodes_2_cars"] > 0
        for kind in CLASSES:
            assert rows[f"scaling_cpu_{kind}_{nodes}_nodes_2_cars"] > 0, kind
    assert not any(Path("runs").glob("scaling*"))
