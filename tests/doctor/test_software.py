import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from robotini_ray.doctor import software
from robotini_ray.doctor.software import SUPPORTED, check_platform, check_redis_server, check_versions

PYPROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text()
DISTRIBUTIONS = {"opencv": "opencv-python-headless", "tensorflow": "tensorflow-cpu", "reverb": "dm-reverb"}


def required(name):
    """What pyproject.toml asks of a distribution."""
    distribution = DISTRIBUTIONS.get(name, name)
    if name == "python":
        return Requirement(f"python{re.search(r'requires-python = .(.*?).  #', PYPROJECT)[1]}").specifier
    (line,) = re.findall(rf'"({distribution}(?:\[\w+\])?[=<>][^"]*)"', PYPROJECT)
    return Requirement(line).specifier


@pytest.mark.parametrize("name", SUPPORTED)
def test_supported_versions_are_those_of_pyproject(name):
    """At both ends: what is asked for is supported, and what it excludes is not."""
    low, high = SUPPORTED[name]
    if name == "opencv":  # no lower end there
        low = "4.11"
    assert required(name).contains(low) or required(name).contains(f"{low}.0")
    if high:
        assert not required(name).contains(high)
    for version in ("0.1", low, high or "99"):
        assert (software._wrong(name, version) is None) == (version == low or (not high and version == "99"))


def test_this_environment_is_sound():
    assert [finding.level for finding in check_versions()] == ["ok"]
    assert [finding.level for finding in check_platform()] == ["ok"]


def test_each_wrong_version_is_named_with_what_works(monkeypatch):
    found = {**software.versions(), "ray": "2.56.0", "tensorflow": None, "numpy": "2.0.1"}
    monkeypatch.setattr(software, "versions", lambda: found)
    findings = {finding.check: finding for finding in check_versions()}
    assert set(findings) == {"version of ray", "version of tensorflow", "version of numpy"}
    assert all(finding.level == "error" and "make setup" in finding.cure for finding in findings.values())
    assert findings["version of ray"].what == "2.56.0; supported: at least 2.54, below 2.56"
    assert findings["version of tensorflow"].what == "not installed"


@pytest.mark.parametrize("version", ["2.15.1", "2.15.1+nv23.11", "2.15.1.post1"])
def test_builds_of_a_version_are_that_version(version):
    assert software._wrong("tensorflow", version) is None


def test_other_machines_are_refused(monkeypatch):
    monkeypatch.setattr(software.platform, "machine", lambda: "aarch64")
    (finding,) = check_platform()
    assert finding.level == "error" and "aarch64" in finding.what


class TestRedis:
    def test_the_real_one(self):
        (finding,) = check_redis_server()
        assert finding.level == "ok" and re.match(r"\d+\.\d+\.\d+ \(/", finding.what)

    def test_none(self, monkeypatch):
        def find():
            raise software.RedisServerError("no a: do b")

        monkeypatch.setattr(software, "find_redis_server", find)
        (finding,) = check_redis_server()
        assert (finding.level, finding.what, finding.cure) == ("error", "no a", "do b")

    @pytest.mark.parametrize("command", [["/no/such/program"], ["/bin/echo"], [sys.executable, "-c", "input('a')"]])
    def test_what_is_no_redis_server(self, monkeypatch, command):
        monkeypatch.setattr(software, "find_redis_server", lambda: command)
        (finding,) = check_redis_server()
        assert finding.level == "error" and command[0] in finding.what and finding.cure
