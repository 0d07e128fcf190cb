"""The run's own addresses are no business of a proxy."""

import os
import subprocess
import sys

import pytest
import reverb

from robotini_ray.machine.proxies import EXCEPTIONS, bypass_proxies

PROXY = "http://127.0.0.1:9"

ASK_REVERB = """
import os, sys, reverb
from robotini_ray.machine.proxies import bypass_proxies
bypass_proxies(os.environ, [])
print(list(reverb.Client(f"127.0.0.1:{sys.argv[1]}").server_info(timeout=120)))
"""


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "Http_Proxy", "grpc_proxy"])
def test_addresses_are_added_for_a_proxy_of_any_case_and_said_in_one_line(name):
    environment = {name: PROXY}
    line = bypass_proxies(environment, ["10.0.0.5"])
    for exceptions in EXCEPTIONS:
        assert environment[exceptions] == "localhost,127.0.0.1,::1,10.0.0.5"
    assert line == (f"{name}: not used for localhost, 127.0.0.1, ::1, 10.0.0.5, which are the run's own (added to no_proxy)")


@pytest.mark.parametrize("environment", [{}, {"http_proxy": ""}, {"no_proxy": "corp"}])
def test_without_a_proxy_nothing_changes(environment):
    before = dict(environment)
    assert bypass_proxies(environment, ["10.0.0.5"]) is None
    assert environment == before


@pytest.mark.parametrize("given", ["no_proxy", "NO_PROXY"])
def test_exceptions_that_are_there_stay_in_either_case(given):
    environment = {"http_proxy": PROXY, given: "corp.example, 127.0.0.1"}
    line = bypass_proxies(environment, ["10.0.0.5"])
    for exceptions in EXCEPTIONS:
        assert environment[exceptions] == "corp.example,127.0.0.1,localhost,::1,10.0.0.5"
    assert "127.0.0.1" not in line and "10.0.0.5" in line


def test_a_second_time_only_new_addresses_are_said():
    environment = {"http_proxy": PROXY}
    bypass_proxies(environment, ["10.0.0.5"])
    assert bypass_proxies(environment, ["10.0.0.5"]) is None
    assert "not used for 10.0.0.6," in bypass_proxies(environment, ["10.0.0.5", "10.0.0.6"])


def test_a_star_stays_alone_because_it_counts_only_so():
    environment = {"http_proxy": PROXY, "no_proxy": "*"}
    assert bypass_proxies(environment, ["10.0.0.5"]) is None
    assert environment["no_proxy"] == environment["NO_PROXY"] == "*"
    assert environment["no_grpc_proxy"].endswith(",localhost,127.0.0.1,::1,10.0.0.5")


def test_reverb_is_reached_although_the_environment_names_a_proxy():
    environment = {name: value for name, value in os.environ.items() if name not in EXCEPTIONS}
    environment |= {"http_proxy": PROXY, "https_proxy": PROXY}
    server = reverb.Server([reverb.Table.queue("table", 1)])
    try:
        command = [sys.executable, "-c", ASK_REVERB, str(server.port)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
    finally:
        server.stop()
    assert done.stdout == "['table']\n", done.stderr
