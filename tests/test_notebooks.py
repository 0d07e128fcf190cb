"""The notebooks run from top to bottom, and what is kept of their outputs is small and tells nothing of a machine."""

import ast
import importlib
import itertools
import json
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

from robotini_ray import launch
from robotini_ray.car.laps import Lap
from robotini_ray.config import load_config, save_config
from robotini_ray.policy.policy_files import PolicyShelf, load_policy, save_policy
from robotini_ray.run.directory import RunDirectory
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import Evaluation, EvaluationResult
from robotini_ray.shipped.files import POLICIES

ROOT = Path(launch.__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 600
LARGEST_BYTES = 250_000


@pytest.fixture
def run_dir(tmp_path):
    """A run that has kept the shipped policy and some evaluations."""
    directory = RunDirectory(tmp_path / "run", fresh=False)
    directory.path.mkdir()
    save_config(load_config(None, {"simulator.track": "oval"}), directory.path / "config.yaml")
    shelf = PolicyShelf(directory.path / "policies")
    save_policy(shelf.version("one"), load_policy(POLICIES / "default")[0], {"train_step": 1})
    shelf.point("best", shelf.version("one"))
    progress = Progress()
    for step, lap_s in enumerate((12.0, None, 9.0)):
        laps = [] if lap_s is None else [Lap(lap_s, True), Lap(lap_s + 0.1, True)]
        evaluation = Evaluation(step, EvaluationResult(laps, 0, [], 600, 20.0), True)
        progress.add_evaluation(evaluation, 3.0)
        directory.add_evaluation(progress.evaluation_record(evaluation))
    return directory.path


def test_all_three_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["drive_by_hand", "explore_a_run", "observation_explained"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_imports_of_the_package_is_there(path):
    code = "\n".join("".join(cell.source) for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [(node.module, alias.name) for node in imports for alias in node.names if node.module.startswith("robotini_ray.")]
    assert ours
    for module, name in ours:
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path, run_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ROBOTINI_RUN", str(run_dir))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        startup_timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    outputs = list(itertools.chain.from_iterable(cell.outputs for cell in notebook.cells if cell.cell_type == "code"))
    kept = nbformat.read(path, as_version=4)
    kinds = [[output.output_type for output in cell.get("outputs", [])] for cell in kept.cells]
    assert kinds == [[output.output_type for output in cell.get("outputs", [])] for cell in notebook.cells], "as those kept"
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestKeptOutputs:
    def test_they_are_small_and_without_errors(self, path):
        assert path.stat().st_size < LARGEST_BYTES
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "run in order, from the start"
        outputs = list(itertools.chain.from_iterable(cell["outputs"] for cell in cells))
        assert outputs and {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
        assert all(output.get("name") != "stderr" for output in outputs)

    def test_they_name_no_place_of_a_machine(self, path):
        assert not re.findall(r"(?<![\w./])/(?:home|root|tmp|work|Users)/\S*", path.read_text())
