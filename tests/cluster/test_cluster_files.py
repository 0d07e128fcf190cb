"""The files that start a cluster, checked without one: their schemas, their shell lines, who could connect."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from robotini_ray import launch
from robotini_ray.program.placement import LEARNER, SIM

FOLDER = Path(launch.__file__).parents[1] / "cluster"
RAY_UP = ["local.yaml", "aws.yaml", "gcp.yaml"]
COMMANDS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands",
)  # fmt: skip
STARTS = {"head_start_ray_commands": "--head", "worker_start_ray_commands": "--address=$RAY_HEAD_IP:6379"}


def loaded(name):
    return yaml.safe_load((FOLDER / name).read_text())


def shell_lines(name):
    return [(key, line) for key in COMMANDS for line in loaded(name).get(key, [])]


def readme_blocks():
    return re.findall(r"```sh\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)


def check_syntax(text):
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + text


def job():
    (found,) = (part for part in yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()) if part["kind"] == "RayJob")
    return found


def pods():
    cluster = job()["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


class TestRayUp:
    @pytest.mark.parametrize("name", RAY_UP)
    def test_rays_own_validation_takes_it(self, name):
        validate_config(prepare_config(loaded(name)))

    @pytest.mark.parametrize("name", RAY_UP)
    def test_that_validation_refuses_a_key_it_does_not_know(self, name):
        with pytest.raises(jsonschema.ValidationError):
            validate_config(prepare_config({**loaded(name), "initial_workers": 1}))

    @pytest.mark.parametrize("name", RAY_UP)
    def test_shell_lines_are_shell(self, name):
        for _, line in shell_lines(name):
            check_syntax(line)

    @pytest.mark.parametrize("name", RAY_UP)
    @pytest.mark.parametrize("key", STARTS)
    def test_the_start_line_starts_ray_with_a_token_and_on_no_wildcard(self, name, key, tmp_path):
        """It is run, with a `ray` that only tells how it was called."""
        bin_dir = tmp_path / "robotini_ray" / ".venv" / "bin"
        bin_dir.mkdir(parents=True)
        (bin_dir / "ray").write_text('#!/bin/sh\necho "$RAY_AUTH_MODE $RAY_worker_niceness|$*"\n')
        (bin_dir / "ray").chmod(0o755)
        (tmp_path / "robotini_ray" / "cluster").symlink_to(FOLDER)
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "RAY_HEAD_IP": "10.0.0.1"}
        said = []
        for line in loaded(name)[key]:
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout.strip())
        assert said[0] == "token 0|stop"
        settings, arguments = said[1].split("|")
        assert settings == "token 0" and arguments.startswith("start ")
        assert STARTS[key].replace("$RAY_HEAD_IP", "10.0.0.1") in arguments.split()
        hosts = [word for word in arguments.split() if word.startswith("--dashboard-host")]
        assert hosts == (["--dashboard-host=127.0.0.1"] if key.startswith("head") else [])
        for resources in re.findall(r"--resources=(\S+)", arguments):
            assert json.loads(resources).keys() <= {SIM, LEARNER}

    @pytest.mark.parametrize("name", RAY_UP)
    def test_the_token_goes_to_every_node_and_is_private_there(self, name):
        config = loaded(name)
        assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
        assert any("chmod 600 ~/.ray/auth_token" in line for line in config["setup_commands"])

    @pytest.mark.parametrize("name", RAY_UP)
    def test_ray_is_found_by_whoever_logs_in_later(self, name, tmp_path):
        """`ray down` says just `ray stop` on the nodes. The line is written once, however often `ray up` is said."""
        (line,) = (line for line in loaded(name)["setup_commands"] if ".bashrc" in line)
        for _ in range(2):
            subprocess.run(["bash", "-c", line], check=True, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
        assert (tmp_path / ".bashrc").read_text() == ". ~/robotini_ray/cluster/env.sh\n"

    @pytest.mark.parametrize("name", RAY_UP)
    def test_what_is_sent_is_there(self, name):
        sent = [local for local in loaded(name)["file_mounts"].values() if not local.startswith("~")]
        assert all((FOLDER.parent / local).exists() for local in sent)
        assert {"robotini_ray", "launch", "pyproject.toml", "constraints.txt", "cluster/env.sh"} <= set(sent)

    @pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
    def test_cars_are_on_spot_machines_that_offer_sim_and_the_head_has_a_gpu(self, name):
        types = loaded(name)["available_node_types"]
        head, cars = types["head"], types["cars"]
        assert head["resources"][LEARNER] == 1 and cars["resources"][SIM] >= 1 and cars["min_workers"] >= 1
        assert "g4dn" in json.dumps(head) or "guestAccelerators" in json.dumps(head)
        assert "spot" in json.dumps(cars).lower() and "spot" not in json.dumps(head).lower()


class TestRayJob:
    SCHEMA = json.loads((Path(__file__).parent / "rayjob_schema.json").read_text())

    def test_it_fits_the_schema_of_its_resource(self):
        jsonschema.Draft202012Validator.check_schema(self.SCHEMA)
        jsonschema.validate(job(), self.SCHEMA)

    @pytest.mark.parametrize("key", ["entryPoint", "rayClusterspec", "tokenAuth"])
    def test_the_schema_refuses_a_wrong_key(self, key):
        wrong = job()
        wrong["spec"][key] = True
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, self.SCHEMA)

    def test_the_token_is_on_in_a_version_that_has_it(self):
        cluster = job()["spec"]["rayClusterSpec"]
        assert cluster["authOptions"] == {"mode": "token"}
        assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)

    def test_the_dashboard_listens_on_the_pods_own_address(self):
        head = pods()[0]
        assert head["rayStartParams"]["dashboard-host"] == "$(POD_IP)"
        assert any(variable["name"] == "POD_IP" for variable in head["template"]["spec"]["containers"][0]["env"])

    def test_resources_are_those_that_placement_looks_for(self):
        offered = [json.loads(json.loads(pod["rayStartParams"]["resources"])) for pod in pods()]
        assert [list(resources) for resources in offered] == [[LEARNER], [SIM]]

    def test_the_entrypoint_is_a_command_line_of_ours(self, monkeypatch):
        from robotini_ray.commands import train

        calls = []
        monkeypatch.setattr(train, "run", lambda *arguments: calls.append(arguments) or 0)
        words = shlex.split(job()["spec"]["entrypoint"])
        assert words[:3] == ["python", "-m", "robotini_ray.launch"]
        words = [word.replace("/app/", f"{FOLDER.parent}/") for word in words[3:]]
        assert launch.main(words) == 0
        config, run_dir, address, *_ = calls.pop()
        cars = sum(pod["replicas"] * json.loads(json.loads(pod["rayStartParams"]["resources"]))[SIM] for pod in pods()[1:])
        assert (config.collection.cars, address) == (cars, "auto")
        mounts = [mount["mountPath"] for mount in pods()[0]["template"]["spec"]["containers"][0]["volumeMounts"]]
        assert str(run_dir.parent) in mounts

    def test_all_pods_are_behind_the_policy(self):
        (policy,) = (
            part for part in yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()) if part["kind"] == "NetworkPolicy"
        )
        labels = policy["spec"]["podSelector"]["matchLabels"]
        templates = [pod["template"] for pod in pods()] + [job()["spec"]["submitterPodTemplate"]]
        assert all(labels.items() <= template["metadata"]["labels"].items() for template in templates)
        assert policy["spec"]["policyTypes"] == ["Ingress"] and all("from" in rule for rule in policy["spec"]["ingress"])

    def test_probes_are_shell(self):
        for pod in pods():
            for container in pod["template"]["spec"]["containers"]:
                command = container["livenessProbe"].get("exec", {}).get("command")
                if command:
                    assert command[:2] == ["bash", "-c"]
                    check_syntax(command[2])


@pytest.mark.parametrize("path", sorted(path for path in FOLDER.rglob("*") if path.is_file()), ids=lambda path: path.name)
def test_nobody_listens_everywhere(path):
    text = path.read_text()
    for wildcard in ("0.0.0.0", "--bind_all", "::/0", "--host=::", "RAY_AUTH_MODE=disabled"):
        assert wildcard not in text


def test_the_environment_of_a_node_is_shell():
    check_syntax((FOLDER / "env.sh").read_text())


def test_the_readmes_lines_are_shell():
    blocks = readme_blocks()
    assert len(blocks) >= 4
    for block in blocks:
        check_syntax(block)
    assert any("ray start --head" in block and "env.sh" in block for block in blocks)
