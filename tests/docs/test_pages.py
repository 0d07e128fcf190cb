"""Pages that are made from the program, or speak of it, say what it does."""

import ast
import re
from pathlib import Path

import pytest

from docs import write_command_line, write_configuration
from robotini_ray import launch
from robotini_ray.car.laps import Lap
from robotini_ray.config import Config, ListedSimulator
from robotini_ray.environment.score import OriginalEpisode
from robotini_ray.run.progress import Progress
from robotini_ray.run.reports import CollectorReport, Evaluation, EvaluationResult, LearnerReport, ReplayState
from robotini_ray.shipped.files import shipped_recipes

ROOT = Path(launch.__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")])


def test_the_configuration_page_is_not_stale():
    page = write_configuration.configuration_page()
    assert write_configuration.PAGE.read_text() == page, f"run `{write_configuration.COMMAND}`"


def test_every_setting_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(write_configuration, "PAGE", tmp_path / "page.md")
    write_configuration.main()
    text = (tmp_path / "page.md").read_text()
    for section, values in Config().to_dict().items():
        part = text.split(f"## {section}\n")[1].split("\n## ")[0]
        for key in ListedSimulator.__dataclass_fields__ if section == "simulators" else values:
            assert f"| `{key}` | " in part
    assert "| `cars` | `6` | whole 1 to 10 000 | number of collecting cars |" in text
    assert "| `turn_limit` | `1.0` | 0.05 to 1 |" in text
    assert "`ddpg`, `td3`, `rdpg`, `rtd3`" in text
    assert "| `actor_layers` | `[128, 128]` | list of whole 1 to 4 096 |" in text
    assert "| `minutes` | `null` | 0.05 to 43 200, or null |" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_flags_that_are_named_exist(page):
    for verb, rest in re.findall(r"(?:robotini_ray\.launch|robotini) ([a-z][a-z-]*)((?: [^\n`]*)?)", page.read_text()):
        if verb in launch.cli.commands:
            flags = {
                name for parameter in launch.cli.commands[verb].params for name in (*parameter.opts, *parameter.secondary_opts)
            }
            for flag in re.findall(r"(?<!\S)(--[a-z][a-z-]*)(?=[\s=]|$)", rest):
                assert flag in flags or flag == "--help", f"{verb} {flag}"


class TestCommandLinePage:
    def test_it_is_not_stale(self):
        page = write_command_line.command_line_page()
        assert write_command_line.PAGE.read_text() == page, f"run `{write_command_line.COMMAND}`"

    def test_it_is_written(self, tmp_path, monkeypatch):
        monkeypatch.setattr(write_command_line, "PAGE", tmp_path / "page.md")
        write_command_line.main()
        assert (tmp_path / "page.md").read_text() == write_command_line.command_line_page()

    @pytest.mark.parametrize("verb", launch.cli.commands)
    def test_it_has_every_verb_with_its_usage_and_each_of_its_flags(self, verb):
        text = (ROOT / "docs" / "command_line.md").read_text()
        assert f"\n| [`{verb}`](#{verb}) | " in text
        section = text.split(f"\n### {verb}\n")[1].split("\n### ")[0]
        assert f"\nrobotini {verb} [OPTIONS]" in section
        rows = re.findall(r"^\| `(-.*?)` \| .* \| .+ \|$", section, re.MULTILINE)
        for parameter in launch.cli.commands[verb].params:
            if parameter.param_type_name == "option":
                flags = {*parameter.opts, *parameter.secondary_opts}
                assert any(flags <= set(re.split(r"[ ,/]+", row)) for row in rows), flags
            else:
                assert parameter.human_readable_name in section.split("```")[1]

    def test_rows_tell_defaults_and_ranges(self):
        rows = (ROOT / "docs" / "command_line.md").read_text().splitlines()
        assert "| `--tensorboard-port INTEGER` | `6006` | Port of TensorBoard, on 127.0.0.1. Allowed: 1 to 65535. |" in rows
        assert "| `--seconds FLOAT` | `30` | Seconds of game time to drive. Allowed: above 0, at most 1000000. |" in rows
        assert "| `--format [npz\\|savedmodel\\|tflite\\|onnx]` | required | Format to write. |" in rows
        assert "| `--color TEXT` | `#e01b24` | Colour of the car, as #rrggbb. |" in rows
        assert any(row.startswith("| `--car-contact / --no-car-contact` | on | ") for row in rows)
        assert any(row.startswith("| `--minutes FLOAT` |  | ") for row in rows)
        assert "| `RAY_ADDRESS` | [`train`](#train) | `--address` |" in rows

    def test_every_recipe_has_its_text(self):
        text = (ROOT / "docs" / "command_line.md").read_text()
        for recipe in shipped_recipes():
            assert re.search(rf"^\| \[`{recipe}`\]\(\.\./launch/{recipe}\.yaml\) \| \S.* \|$", text, re.MULTILINE)


class TestMetricsPage:
    def test_every_scalar_and_every_key_has_its_line(self):
        replay = ReplayState(items=1, inserted=1, sampled=0, capacity=2, min_items=1, samples_per_item=1.0)
        progress = Progress()
        report = CollectorReport(laps=[Lap(9.0, True)], episodes=[OriginalEpisode(1.0, 500)])
        progress.add_collections([report])
        progress.add_learner(LearnerReport(5, 1.0, replay, 0.5, {}))
        evaluation = Evaluation(5, EvaluationResult([Lap(9.0, True)], 0, [OriginalEpisode(1.0, 500)], 500, 20.0), True)
        progress.add_evaluation(evaluation, 4.0)
        sections = {
            "TensorBoard: collection": list(progress.collection_scalars()),
            "TensorBoard: evaluation": list(evaluation.scalars()),
            "summary.json": list(progress.summary(4.0)),
        }
        page = (ROOT / "docs" / "metrics.md").read_text()
        for section, names in sections.items():
            lines = page.split(f"## {section}\n")[1].split("\n## ")[0]
            for name in names:
                assert f"\n| `{name}` | " in lines, f"docs/metrics.md says nothing of {name} under {section}"

    def test_it_names_what_the_table_of_metrics_names(self):
        docstring = ast.get_docstring(ast.parse((ROOT / "robotini_ray" / "run" / "tensorboard_files.py").read_text()))
        groups = re.findall(r"(\w+)/\{([\w, ]+)\}", docstring)
        names = [f"{group}/{name}" for group, listed in groups for name in listed.split(", ")]
        page = (ROOT / "docs" / "metrics.md").read_text()
        assert len(names) > 12
        assert [name for name in names if f"| `{name}` | " not in page] == []
