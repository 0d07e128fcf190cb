"""The simulator closes the connection before the first frame."""

from __future__ import annotations

import pytest

from robotini_ray import launch
from robotini_ray.car.errors import LoginRefused
from tests.waiting import eventually

PARAMETERS = b'{"type":"RaceParameters","numSegments":30,"track":"oval.json"}\n'


def test_a_name_that_is_taken_gets_a_suffix(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    simulator.cars.refuse = lambda name: name in ("car0", "car0-2")
    collecting = rig(simulator.address, cars=2)
    assert collecting.wait_for_status("driving")["name"] == "car0-3"
    assert collecting.wait_for_status("driving", "car1")["name"] == "car1"
    collecting.wait_for_steps(30)
    assert collecting.faults == {"login_refused": 2} and collecting.reconnects == 0
    assert [way.name for way in simulator.cars.ways if way.name != "car1"] == ["car0", "car0-2", "car0-3"]


def test_after_three_refusals_the_likely_causes_are_said(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    simulator.cars.refuse = lambda name: True
    collecting = rig(simulator.address)
    error = eventually(lambda: collecting.error, "the collector gives up")
    assert isinstance(error, LoginRefused)
    message = str(error)
    assert "\n" not in message and f"127.0.0.1:{simulator.address.car_port}" in message
    for cause in ("before the first frame", "may be on the track already", "unlisted in a race", "full", "'car0-3'"):
        assert cause in message
    assert len(simulator.cars.ways) == 3


def test_the_command_line_says_them_in_one_line(fault_server, capsys):
    cars = fault_server(lambda sock: sock.recv(1024))
    spectators = fault_server(lambda sock: (sock.sendall(PARAMETERS), sock.recv(1024)))
    address = f"127.0.0.1:{cars.address[1]}:{spectators.address[1]}"
    assert launch.main(["debug-policy", "--simulator", address, "--track", "oval"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("robotini: ")]
    assert len(lines) == 1 and "before the first frame" in lines[0]


@pytest.mark.slow
def test_a_car_refused_on_its_way_back_keeps_trying(faulty_simulator, rig):
    simulator = faulty_simulator("realtime")
    collecting = rig(simulator.address)
    collecting.wait_for_steps(30)
    simulator.cars.refuse = lambda name: True
    simulator.cars.cut("car0")
    collecting.wait_for_faults("login_refused", 4)
    simulator.cars.refuse = lambda name: False
    collecting.wait_for_status("driving")
    collecting.wait_for_steps(30)
    assert collecting.error is None
