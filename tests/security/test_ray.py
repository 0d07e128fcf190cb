"""Ray as `train` starts it: it asks everybody for the token, and parts tell who they are.

It runs in a process of its own, because Ray reads its mode when it is imported.
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import robotini_ray

PATIENCE_S = 150
ATTEMPTS = 3
"""Ray gives its own start 30 s, which no setting changes, and which a loaded machine may not keep."""

pytestmark = pytest.mark.timeout(ATTEMPTS * PATIENCE_S)

SCRIPT = """
import json, os, sys
from pathlib import Path

from robotini_ray.program.ray_token import require_token
from robotini_ray.run.process_mark import mark_of, mark_this_process

require_token(os.environ)
mark_this_process(Path(sys.argv[1]))

import grpc
import ray

from robotini_ray.program.part import start_part


def ask(token):
    metadata = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(context.address_info["gcs_address"]) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def fetch(token):
    import urllib.error, urllib.request
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://{context.dashboard_url}/api/jobs/", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


dashboard = sys.argv[2] == "dashboard"
try:
    context = ray.init(address="local", include_dashboard=dashboard, log_to_driver=False, logging_level="error", num_cpus=1)
except Exception as error:
    if "MetricsHead failed to start" in str(error) or "dashboard" in str(error):
        print(json.dumps({"failed": str(error)[-300:]}))
        sys.exit()
    raise
token = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
report = {"grpc": [ask(None), ask("nonsense"), ask(token)]}
if dashboard:
    report |= {"url": context.dashboard_url, "http": [fetch(None), fetch("nonsense"), fetch(token)]}
else:
    folder = Path(sys.argv[1]) / "logs"
    folder.mkdir(parents=True)
    part = start_part("part", folder, "robotini_ray.run.reports:CollectorReport")
    node, process = ray.get(part.whereabouts(), timeout=100)
    mark = mark_of(process.pid)
    report |= {
        "is_here": node == ray.get_runtime_context().get_node_id(), "is_other": process.pid != os.getpid(),
        "mark": [str(mark.run_dir), mark.launcher.pid == os.getpid()],
    }
ray.shutdown()
print(json.dumps(report))
"""


def start_ray(folder, kind):
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_USAGE_STATS_ENABLED": "0"}
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        environment.pop(name, None)
    environment["PYTHONPATH"] = str(Path(robotini_ray.__file__).parents[1])
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, folder / "run", kind]
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
        if "The current node timed out during startup" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    return json.loads(done.stdout.splitlines()[-1])


def test_rays_servers_ask_for_the_token_and_parts_are_found(tmp_path):
    report = start_ray(tmp_path, "plain")
    assert report["grpc"] == ["UNAUTHENTICATED", "UNAUTHENTICATED", "OK"]
    assert report["is_here"] and report["is_other"]
    assert report["mark"] == [str(tmp_path / "run"), True]


@pytest.mark.slow
def test_the_dashboard_is_on_this_machine_only_and_asks_for_the_token(tmp_path):
    report = start_ray(tmp_path, "dashboard")
    if "failed" in report:
        pytest.skip(f"Ray's dashboard did not start within its own 30 s on this machine: {report['failed']}")
    assert report["url"].startswith("127.0.0.1:")
    assert report["http"] == [401, 403, 200]
