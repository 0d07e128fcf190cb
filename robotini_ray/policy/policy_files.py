"""Policies on disk.

A policy is a directory with ``policy.json`` (a ``PolicySpec`` and facts about the policy) and ``weights.npz`` (named float32
arrays).
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from robotini_ray.policy.numpy_policy import NumpyPolicy
from robotini_ray.policy.policy_spec import FORMAT, PolicyError, PolicySpec

NPY_HEADER_BYTES = 65_536
"""More than NumPy writes in front of an array."""


def save_policy(directory: Path, policy: NumpyPolicy, facts: dict[str, Any]) -> None:
    """Writes ``policy.json`` and ``weights.npz`` into a new directory.

    Args:
        facts: what else is worth knowing of the policy (train step, score); kept under ``facts``.
    """
    directory.mkdir(parents=True)
    np.savez(directory / "weights.npz", **policy.weights)
    text = json.dumps({**dataclasses.asdict(policy.spec), "facts": facts}, indent=2)
    (directory / "policy.json").write_text(text + "\n")


def load_policy(directory: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    """The policy of a directory and its facts, of one version even while a link to it is turned to another one.

    Raises:
        PolicyError: there is no policy, or it is of another format or shape than its spec says.
    """
    while True:
        version = directory.resolve()
        try:
            return _load_version(version, directory)
        except PolicyError:
            if directory.resolve() == version:  # else it was replaced, and removed, while it was read
                raise


def _load_version(directory: Path, name: Path) -> tuple[NumpyPolicy, dict[str, Any]]:
    try:
        fields = json.loads((directory / "policy.json").read_text())
        facts = fields.pop("facts", {})
        if fields.get("format") != FORMAT:
            raise PolicyError(f"{name} holds a policy of format {fields.get('format')}; this program reads {FORMAT}")
        spec = PolicySpec(**{**fields, "layers": tuple(fields["layers"])})
        policy = NumpyPolicy(spec)
        with np.load(directory / "weights.npz", allow_pickle=False) as arrays:
            for key, view in policy.weights.items():
                if key in arrays and arrays.zip.getinfo(f"{key}.npy").file_size > view.nbytes + NPY_HEADER_BYTES:
                    raise PolicyError(
                        f"{name}/weights.npz unpacks to more as {key} than the {view.nbytes} bytes of policy.json"
                    )
                array = arrays.get(key)
                if array is None or array.shape != view.shape or array.dtype != view.dtype:
                    found = "nothing" if array is None else f"{array.dtype}{array.shape}"
                    raise PolicyError(f"{name}/weights.npz has {found} as {key}; policy.json asks for {view.dtype}{view.shape}")
                view[:] = array
    except PolicyError:
        raise
    except FileNotFoundError as error:
        raise PolicyError(f"{name} holds no policy: {Path(error.filename).name} is missing") from error
    except Exception as error:  # whatever json, zipfile and NumPy raise for damaged bytes
        raise PolicyError(f"{name} holds no readable policy: {' '.join(str(error).split())}") from error
    return policy, facts


class PolicyShelf:
    """The ``policies`` directory of a run: versions, and names (``best``, ``latest``) that point at them.

    A name is a symbolic link, so that replacing what it points at is one atomic rename: a reader sees the old policy or the
    new one, never half of each. Versions that no name points at are removed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions = directory / "versions"
        self._versions.mkdir(parents=True, exist_ok=True)

    def version(self, name: str) -> Path:
        """Where the version of this name stands, or will stand."""
        return self._versions / name

    def point(self, name: str, version: Path) -> None:
        """Makes ``name`` mean this version."""
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
