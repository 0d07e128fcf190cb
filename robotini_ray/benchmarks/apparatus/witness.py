"""Reads the noise witness: two fixed loads that show how fast the machine itself was while figures were measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

READING_S = 0.25
WARM_UP_S = 0.05
MATRIX_SIZE = 384
LOOP_TURNS = 20_000


class Witness(NamedTuple):
    """One reading: rates of a float32 matrix product with NumPy's own threads, and of a loop in plain Python."""

    matrix_product_gflop_s: float
    python_million_loops_s: float


def read_witness(seconds: float = READING_S) -> Witness:
    """Takes a reading; each of the two loads runs for ``seconds``."""
    matrix = np.full((MATRIX_SIZE, MATRIX_SIZE), 0.5, np.float32)
    product = np.empty_like(matrix)
    products_s = _rate(lambda: np.matmul(matrix, matrix, out=product), seconds)
    loops_s = _rate(_loop, seconds) * LOOP_TURNS
    return Witness(products_s * 2 * MATRIX_SIZE**3 / 1e9, loops_s / 1e6)


def witness_to_json(readings: Sequence[Witness]) -> dict[str, list[float]]:
    """Returns the readings by load, in the order taken: before, between and after the measurements."""
    return {name: [getattr(reading, name) for reading in readings] for name in Witness._fields}


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Measures how often per second ``work`` can be done."""
    warm_at_s = time.perf_counter() + min(WARM_UP_S, seconds)
    while time.perf_counter() < warm_at_s:
        work()
    began_s, count = time.perf_counter(), 0
    while (elapsed_s := time.perf_counter() - began_s) < seconds:
        work()
        count += 1
    return count / elapsed_s


def _loop() -> int:
    total = 0
    for number in range(LOOP_TURNS):
        total ^= number
    return total
