import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from robotini_ray.machine import processes
from robotini_ray.machine.processes import (
    ProcessId,
    command_of,
    environment_of,
    identify,
    own_processes,
    process_stat,
    this_process,
)
from tests.waiting import eventually


@pytest.fixture
def sleeper():
    """A process with a name that is hard to read, which waits to be killed."""
    code = "import sys; open('/proc/self/comm', 'w').write('a) R 1 (b'); print('up', flush=True); sys.stdin.read()"
    environment = {**os.environ, "MARK": "a=b"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_read_whatever_its_name_is(sleeper):
    stat = process_stat(sleeper.pid)
    assert (stat.parent, stat.session) == (os.getpid(), sleeper.pid)
    assert sleeper.pid in set(own_processes())
    assert environment_of(sleeper.pid)["MARK"] == "a=b"
    assert command_of(sleeper.pid).startswith(f"{sys.executable} -c import sys")


def test_a_process_is_alive_until_it_ends_also_if_nobody_waits_for_it(sleeper):
    process = identify(sleeper.pid)
    assert process.is_here and process.is_alive
    os.kill(sleeper.pid, signal.SIGKILL)
    eventually(lambda: process_stat(sleeper.pid).state == "Z", "it has ended")
    assert process.is_alive is False and identify(sleeper.pid) is None


def test_what_has_ended_leaves_nothing_to_read(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert (process_stat(sleeper.pid), environment_of(sleeper.pid), command_of(sleeper.pid)) == (None, {}, "")


def test_a_number_that_was_given_out_again_is_another_process():
    mine = this_process()
    assert mine.is_alive
    assert dataclasses.replace(mine, start_ticks=mine.start_ticks - 1).is_alive is False


def test_of_another_machine_nothing_is_known_and_before_a_restart_all_have_ended():
    mine = this_process()
    elsewhere = dataclasses.replace(mine, host="elsewhere")
    assert not elsewhere.is_here and elsewhere.is_alive is None
    assert dataclasses.replace(mine, boot_id="before").is_alive is False


def test_it_survives_json():
    mine = this_process()
    assert ProcessId.from_json(dataclasses.asdict(mine)) == mine
    with pytest.raises(KeyError):
        ProcessId.from_json({"pid": 1})


def test_processes_of_containers_are_not_counted(monkeypatch):
    """They have another numbering inside, and so would seem to have no launcher."""
    readlink = os.readlink
    monkeypatch.setattr(processes.os, "readlink", lambda path: "pid:[1]" if "self" in str(path) else readlink(path))
    assert list(own_processes()) == []
