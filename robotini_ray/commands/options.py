"""Holds the option types and help texts that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robotini_ray.config import HIGHEST_SEED, Config, RandomisationConfig, load_config
from robotini_ray.shipped.files import find_recipe

Overrides = dict[str, Any]

PATH = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)
SEED = click.IntRange(0, HIGHEST_SEED)
SECONDS = click.FloatRange(0, 1e6, min_open=True)
MONITOR_PORT = 8080
MONITOR_HELP = "Port of the live page, on 127.0.0.1; 0 takes a free one."
SIMULATOR_HELP = (
    "Address of a running simulator, as HOST[:CAR_PORT[:LOG_PORT]]; the ports default to 11000 and 11001. "
    "Without it an embedded simulator is used."
)
WAIT_HELP = "Wait until the simulator given with --simulator can be reached, instead of ending with an error."
TRACK_HELP = "Name of a shipped track, or path of a Robotini track file."
SHIPPED_POLICY = "default"
POLICY_HELP = "Directory of the policy, for example runs/quickstart/policies/best, or name of a shipped policy."
CONFIG_EPILOG = (
    "Any value of the config can be given as --section.key VALUE, for example --agent.horizon_s 4; "
    "docs/configuration.md lists them all."
)
RANDOMISATION_EPILOG = (
    "Cars that differ from the standard car: give --randomisation.KEY VALUE, for example --randomisation.grip [0.8,1.2]; "
    "section randomisation of docs/configuration.md lists the keys."
)

LINE, OVERRIDES = "line", "overrides"
"""The keys of a click context's ``obj``: the words of the command line, and the config values given in it."""


def resolve_config(path: Path, context: click.Context, named: Overrides) -> Config:
    """Returns the config: the file's values, replaced by those of the command line.

    Args:
        path: The config file, or the name of a shipped recipe.
        context: The click context with the ``--section.key`` values of the command line.
        named: Values of the named options by config key, None for an option that was not given; they replace the others.

    Raises:
        ConfigError: There is no such recipe, the file cannot be read, or a key or value is not valid.
    """
    given = {key: value for key, value in named.items() if value is not None}
    return load_config(find_recipe(path), {**context.obj[OVERRIDES], **given})


def randomisation_of(context: click.Context) -> RandomisationConfig:
    """Returns the randomisation given by a command line, for verbs that accept no other config values."""
    return load_config(None, context.obj[OVERRIDES]).randomisation
