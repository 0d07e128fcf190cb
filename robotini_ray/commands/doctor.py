"""Implements ``doctor``, which checks the machine and the config before a run and prints what to fix."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from robotini_ray.config import Config
from robotini_ray.doctor.checkup import examine
from robotini_ray.doctor.finding import Finding, Level
from robotini_ray.machine.terminal_text import printable

STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "error": "bold red"}


def run(config: Config, run_dir: Path, print_json: bool) -> int:
    """Prints every finding, as text or as one line of JSON; returns 1 if a finding is an error, else 0."""
    console = Console(markup=False, highlight=False)
    findings = []
    for finding in examine(config, run_dir):
        findings.append(finding)
        if not print_json:
            _show(finding, console)
    errors, warnings = (sum(finding.level == level for finding in findings) for level in ("error", "warning"))
    if print_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"errors": errors, "warnings": warnings, "findings": rows}))
    else:
        console.print(f"{errors} errors, {warnings} warnings")
    return 1 if errors else 0


def _show(finding: Finding, console: Console) -> None:
    line = Text(f"{finding.level:8}", STYLES[finding.level])
    line.append(printable(f"{finding.check}: {finding.what}"), "default")
    console.print(line, soft_wrap=True)
    if finding.cure:
        console.print(f"         -> {printable(finding.cure)}", soft_wrap=True)
