"""Keeps the track file of a run in its directory, so that the run depends on no file elsewhere.

``RUN/track/NAME.json`` is the copy that all parts read. On a node that does not share the run directory, ``write_files`` makes
it anew from the contents that ``track_files`` has read on the launcher's machine. Shipped tracks need no copy.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from robotini_ray.track.track import Track

FOLDER = "track"


def kept_track(run_dir: Path, name: str) -> Path:
    """Returns the path of a track's copy, which need not exist."""
    return run_dir / FOLDER / name


def keep_track(run_dir: Path, track: Track) -> Path:
    """Copies the file of a track into the run directory and returns the path of the copy."""
    copy = kept_track(run_dir, track.name)
    write_files({copy: track.path.read_bytes()})
    return copy


def track_files(run_dir: Path) -> dict[Path, bytes]:
    """Returns the contents of the copies in a run directory by their paths."""
    return {path: path.read_bytes() for path in (run_dir / FOLDER).glob("[!.]*")}


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes the files that are missing or have other contents; a reader never sees a part of one."""
    for path, content in files.items():
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fresh.write_bytes(content)
        os.replace(fresh, path)
