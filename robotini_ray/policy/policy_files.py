"""Reads and writes policies on disk.

A policy is a directory with ``policy.json`` (a ``PolicySpec`` and facts about the policy) and ``weights.npz`` (named float32
arrays).
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from robotini_ray.machine.text_files import read_json
from robotini_ray.machine.whole_files import new_directory, sync_tree
from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import FORMAT, PolicyError, PolicySpec

NPY_HEADER_BYTES = 65_536
"""An upper bound, in bytes, of the header that NumPy writes in front of an array."""


def save_policy(directory: Path, policy: NumpyPolicy, facts: dict[str, Any]) -> None:
    """Makes a new directory with ``policy.json`` and ``weights.npz``, which appears under its name once it is complete.

    Args:
        directory: The directory to create; it must not exist.
        policy: The policy to write.
        facts: Further values of JSON types about the policy, such as its train step and score; stored under ``facts``.

    Raises:
        FileExistsError: The directory exists.
        OSError: The directory cannot be written; nothing of it is left.
        PolicyError: A weight is not finite; nothing is written.
    """
    with new_directory(directory) as fresh:
        write_policy(fresh, policy, facts)


def write_policy(directory: Path, policy: NumpyPolicy, facts: dict[str, Any]) -> None:
    """Writes ``policy.json`` and ``weights.npz`` into an existing directory; see ``save_policy``."""
    wrong = policy.not_finite()
    if wrong is not None:
        raise PolicyError(f"the policy is not written: its {wrong} has numbers that are not finite (nan or inf)")
    arrays = io.BytesIO()  # on a full disk NumPy's own file would print more than the error
    np.savez(arrays, **policy.weights)
    (directory / "weights.npz").write_bytes(arrays.getvalue())
    text = json.dumps({**dataclasses.asdict(policy.spec), "facts": facts}, indent=2)
    (directory / "policy.json").write_text(text + "\n")


def load_policy(directory: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """Returns the policy of a directory and its facts.

    If the directory is a symbolic link, both files come from one version, even if the link is replaced during the read.

    Raises:
        PolicyError: There is no policy, it is damaged, its format or the shape of its weights is not the expected one, or a
            weight is not finite.
    """
    while True:
        version = directory.resolve()
        try:
            return _load_version(version, directory)
        except PolicyError:
            if directory.resolve() == version:  # Otherwise it was replaced, and removed, during the read.
                raise


def _load_version(directory: Path, name: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    try:
        fields = read_json(directory / "policy.json")
        facts = fields.pop("facts", {})
        if not isinstance(facts, dict):
            raise PolicyError(f"{name}/policy.json has {type(facts).__name__} for facts; allowed: an object")
        if fields.get("format") != FORMAT:
            raise PolicyError(f"{name} holds a policy of format {fields.get('format')}; this program reads format {FORMAT}")
        spec = PolicySpec(**{**fields, "layers": tuple(fields["layers"])})
        policy = NumpyPolicy(spec)
        with np.load(directory / "weights.npz", allow_pickle=False) as arrays:
            for key, view in policy.weights.items():
                if key in arrays and arrays.zip.getinfo(f"{key}.npy").file_size > view.nbytes + NPY_HEADER_BYTES:
                    raise PolicyError(
                        f"{name}/weights.npz holds more for {key} than the {view.nbytes} bytes that policy.json requires"
                    )
                array = arrays.get(key)
                if array is None or array.shape != view.shape or array.dtype != view.dtype:
                    found = "no array" if array is None else f"{array.dtype}{array.shape}"
                    raise PolicyError(
                        f"{name}/weights.npz has {found} for {key}; policy.json requires {view.dtype}{view.shape}"
                    )
                view[:] = array
        wrong = policy.not_finite()
        if wrong is not None:
            raise PolicyError(
                f"{name}/weights.npz has numbers that are not finite (nan or inf) for {wrong}: no car can drive with it; give "
                "another policy"
            )
    except PolicyError:
        raise
    except FileNotFoundError as error:
        raise PolicyError(f"{name} holds no policy: {Path(error.filename).name} is missing") from error
    except Exception as error:  # json, zipfile and NumPy raise many types for damaged bytes.
        raise PolicyError(f"{name} holds no readable policy: {' '.join(str(error).split())}") from error
    return policy, facts


class PolicyShelf:
    """The ``policies`` directory of a run: versions, and names (``best``, ``latest``) that point at them.

    A name is a symbolic link, so that pointing it at another version is one atomic rename: a reader sees the old policy or
    the new one, never a mixture. Versions that no name points at are removed.

    Args:
        directory: The ``policies`` directory; it is created if it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions = directory / "versions"
        self._versions.mkdir(parents=True, exist_ok=True)

    def version(self, name: str) -> Path:
        """Returns the path of the version with this name, which need not exist yet."""
        return self._versions / name

    def point(self, name: str, version: Path) -> None:
        """Flushes a version to the disk, points ``name`` at it and removes the versions that no name points at.

        Args:
            name: The name of the link, such as ``best``.
            version: The path of an existing version, from ``version``.
        """
        sync_tree(version)
        link = self._directory / name
        fresh = self._directory / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("versions") / version.name)
        os.replace(fresh, link)
        self._remove_unnamed()

    def _remove_unnamed(self) -> None:
        named = {link.resolve() for link in self._directory.iterdir() if link.is_symlink()}
        for version in self._versions.iterdir():
            if version.resolve() not in named:
                shutil.rmtree(version)
