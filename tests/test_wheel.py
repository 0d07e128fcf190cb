"""The wheel: built offline, installed far from the checkout, and called there."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from robotini_ray import __version__, launch
from robotini_ray.config import ConfigError
from robotini_ray.shipped.files import (
    QUICKSTART,
    RECIPES,
    find_recipe,
    shipped_policies,
    shipped_recipes,
    shipped_tracks,
)

ROOT = Path(launch.__file__).parents[1]
PATIENCE_S = 600
pytestmark = pytest.mark.timeout(2 * PATIENCE_S)  # the first test builds the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built offline from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("robotini_ray", "launch"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "-w",
        folder,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == f"robotini_ray-{__version__}-py3-none-any.whl"
    return wheel


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    """Where the wheel's files are, as pip would lay them out."""
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="module")
def fresh_python(wheel, tmp_path_factory):
    """The interpreter of a new virtual environment that pip has installed the wheel in.

    What it depends on is not downloaded again: the environment also looks where that is installed for us.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    asked = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    (Path(asked.stdout.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def run(unpacked, cwd, *arguments):
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=PATIENCE_S)


def test_it_holds_everything_that_the_program_reads(unpacked):
    package = unpacked / "robotini_ray"
    assert {path.name for path in (package / "shipped" / "recipes").iterdir()} == {
        path.name for path in (ROOT / "launch").glob("*.yaml")
    }
    assert {path.stem for path in (package / "shipped" / "tracks").glob("*.json")} == {*shipped_tracks(), "limits"}
    for name in shipped_policies():
        assert {path.name for path in (package / "shipped" / "policies" / name).iterdir()} == {"policy.json", "weights.npz"}
    assert not (unpacked / "tests").exists() and not (unpacked / "launch").exists()


def test_it_installs_the_command(unpacked):
    (found,) = metadata.distributions(name="robotini-ray", path=[str(unpacked)])
    (script,) = found.entry_points.select(group="console_scripts")
    assert (script.name, script.load()) == ("robotini", launch.command_line)


@pytest.mark.parametrize("words", [["--help"], ["drive", "--help"], ["--version"]])
def test_the_command_line_works_outside_the_checkout(unpacked, tmp_path, words):
    done = run(unpacked, tmp_path, "-m", "robotini_ray", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("Usage: robotini " in done.stdout) if words[-1] == "--help" else (__version__ in done.stdout)


def test_train_finds_its_configs_there(unpacked, tmp_path):
    code = (
        "from pathlib import Path; from robotini_ray import launch; from robotini_ray.config import load_config\n"
        "from robotini_ray.shipped.files import QUICKSTART, find_recipe\n"
        "from robotini_ray.policy.named_policy import load_named_policy\n"
        "assert load_config(QUICKSTART, {}).agent.privileged_critic\n"
        "assert load_config(find_recipe(Path('launch/rdpg.yaml')), {}).agent.recurrent\n"
        "load_named_policy(Path('default')); print(launch.__file__)"
    )
    done = run(unpacked, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(unpacked / "robotini_ray" / "launch.py")


@pytest.mark.slow
@pytest.mark.timeout(4 * PATIENCE_S)
class TestFreshEnvironment:
    @pytest.fixture
    def launched(self, fresh_python, tmp_path, monkeypatch):
        """Runs a command line with the installed package far from the checkout; its stdout."""
        monkeypatch.delenv("PYTHONPATH", raising=False)

        def launch(*words):
            command = [fresh_python.with_name("robotini"), *words]
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=3 * PATIENCE_S)
            assert done.returncode == 0, done.stderr
            return done.stdout

        return launch

    def test_the_package_is_the_installed_one(self, fresh_python, tmp_path, monkeypatch):
        monkeypatch.delenv("PYTHONPATH", raising=False)
        code = "import robotini_ray; print(robotini_ray.__file__)"
        done = subprocess.run([fresh_python, "-c", code], capture_output=True, text=True, cwd=tmp_path)
        assert done.stdout.startswith(str(fresh_python.parents[1])), done.stderr

    def test_demo(self, launched):
        lines = launched("demo", "--seconds", "20", "--monitor-port", "0").splitlines()
        assert lines[1].startswith("watch them: http://127.0.0.1:")
        cars = [line.split() for line in lines[5:]]
        assert len(cars) == 6 and all(int(cells[2]) >= 1 for cells in cars), lines

    def test_evaluate(self, launched):
        (result,) = json.loads(launched("evaluate", "--track", "oval", "--laps", "2", "--json").splitlines()[-1])["results"]
        assert (result["policy"], result["track"], result["clean_laps"], result["crashes"]) == ("default", "oval", 2, 0)


class TestRecipes:
    def test_a_file_goes_before_a_shipped_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        paths = [Path("launch/td3.yaml"), Path("td3.yaml"), Path("td3")]
        assert [find_recipe(path) for path in paths] == [RECIPES / "td3.yaml"] * 3
        Path("launch").mkdir()
        for path in paths:
            path.touch()
            assert find_recipe(path) == path

    @pytest.mark.parametrize("name", shipped_recipes())
    def test_each_is_found_by_its_name(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        assert find_recipe(Path(name)) == RECIPES / f"{name}.yaml"

    @pytest.mark.parametrize("path", ["record.yaml", "launch/record.yaml"])
    def test_an_old_file_name_is_found(self, tmp_path, monkeypatch, path):
        monkeypatch.chdir(tmp_path)
        assert find_recipe(Path(path)) == RECIPES / "fastest_lap.yaml"

    @pytest.mark.parametrize("name", ["no", "record", "Dockerfile", "TD3"])
    def test_an_unknown_name_is_refused_with_all_names(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=f"^config {name} is neither .*{', '.join(shipped_recipes())}$"):
            find_recipe(Path(name))

    @pytest.mark.parametrize("path", ["none.yaml", "launch/none.yaml", "other/td3.yaml", "launch/../td3.yaml", "other/td3"])
    def test_others_stay_what_they_are(self, tmp_path, monkeypatch, path):
        monkeypatch.chdir(tmp_path)
        assert find_recipe(Path(path)) == Path(path)

    def test_a_checkout_reads_those_of_launch(self):
        assert QUICKSTART.resolve() == (ROOT / "launch" / "quickstart.yaml").resolve()
