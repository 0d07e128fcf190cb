"""Options and texts that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robotini_ray.config import Config, ConfigError, RandomisationConfig, load_config
from robotini_ray.shipped.files import find_recipe

Overrides = dict[str, Any]

PATH = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)
SECONDS = click.FloatRange(0, 1e6, min_open=True)
MONITOR_PORT = 8080
MONITOR_HELP = "Of the live page, on 127.0.0.1; 0 takes a free one."
SIMULATOR_HELP = "HOST[:CAR_PORT[:LOG_PORT]] of a running simulator; without it an embedded one is started."
WAIT_HELP = "Wait for the simulator of --simulator to come, instead of ending with an error."
TRACK_HELP = "Name of a shipped track, or a Robotini track file."
SHIPPED_POLICY = "default"
POLICY_HELP = "Its directory, for example runs/quickstart/policies/best, or the name of one that is shipped."
CONFIG_EPILOG = "Any value of the config: --section.key VALUE, for example --agent.horizon_s 4."
RANDOMISATION_EPILOG = (
    "Cars that differ from the standard one: --randomisation.KEY VALUE, for example --randomisation.grip [0.8,1.2]."
)

LINE, OVERRIDES = "line", "overrides"
"""What a context's ``obj`` holds: the words of the line, and the config values among them."""


def in_a_directory(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuses now what could not be written when the work is done."""
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"{parameter.opts[0]} is {path}, but there is no directory {path.parent}")
    return path


def resolve_config(path: Path, context: click.Context, named: Overrides) -> Config:
    """The config of a file under the line's values; ``named`` are those of options, None where one was not given."""
    given = {key: value for key, value in named.items() if value is not None}
    return load_config(find_recipe(path), {**context.obj[OVERRIDES], **given})


def randomisation_of(context: click.Context) -> RandomisationConfig:
    """How the embedded simulator's cars differ, of a line that may say nothing else of the config."""
    return load_config(None, context.obj[OVERRIDES]).randomisation
