"""Solves smooth constrained problems with banded structure by a primal-dual interior-point method.

Minimises ``cost @ x`` subject to ``values(x) >= 0``, from a strictly feasible start and through feasible points only. The
method is the feasible interior-point method of Nocedal and Wright, Numerical Optimization, 2nd edition, chapter 19, with
exact second derivatives, a line search on the barrier function, and LAPACK's banded Cholesky factorisation for the Newton
step (a multiple of the identity is added until it succeeds, which makes the step a descent direction).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solveh_banded

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.signedinteger]

FIRST_BARRIER = 1e-2
MAX_ITERATIONS = 500
FRACTION_TO_BOUNDARY = 0.99
SUFFICIENT_DECREASE = 1e-4
SMALLEST_STEP = 1e-12


class ConvergenceError(RuntimeError):
    """Raised if the solver stops before it has converged."""


class Constraints(NamedTuple):
    """Holds n constraints ``values >= 0`` on k unknowns each, with their derivatives.

    Attributes:
        columns: ``<int>[n, k]``, the indices of the unknowns of each constraint.
        values: ``<float64>[n]``.
        gradients: ``<float64>[n, k]``.
        hessians: ``<float64>[n, k, k]``.
    """

    columns: IntArray
    values: FloatArray
    gradients: FloatArray
    hessians: FloatArray


def minimise(
    cost: FloatArray,
    start: FloatArray,
    constraints: Callable[[FloatArray], list[Constraints]],
    *,
    bands: int,
    last_barrier: float,
) -> FloatArray:
    """Minimises ``cost @ x`` subject to the constraints.

    Args:
        cost: ``<float64>[n]``.
        start: ``<float64>[n]``, a point that meets all constraints strictly.
        constraints: Returns the blocks of constraints at a point.
        bands: A bound on the structure: no constraint involves two unknowns ``bands`` or more places apart.
        last_barrier: The barrier parameter at which the solver stops.

    Returns:
        The solution, ``<float64>[n]``; its cost exceeds the minimum by at most the number of constraints times
        ``last_barrier``.

    Raises:
        ConvergenceError: No further progress, or too many iterations.
    """
    point, blocks = start, constraints(start)
    barrier = FIRST_BARRIER
    multipliers = [barrier / block.values for block in blocks]
    for _ in range(MAX_ITERATIONS):
        if _residual(cost, blocks, multipliers, barrier) < 10 * barrier:
            if barrier <= last_barrier:
                return point
            barrier = max(last_barrier, min(0.2 * barrier, barrier**1.5))
        downhill = _combine(blocks, [barrier / block.values for block in blocks], len(cost)) - cost
        step = _newton_step(_banded_matrix(blocks, multipliers, len(cost), bands), downhill)
        moved = _line_search(cost, point, step, constraints, blocks, barrier, float(downhill @ step))
        if moved is None:
            break
        multipliers = _new_multipliers(blocks, multipliers, step, barrier)
        point, blocks = moved
        # Multipliers far from barrier / value would spoil the Newton matrix (Waechter and Biegler 2006, eq. 16).
        multipliers = [
            np.clip(multiplier, barrier / (1e8 * block.values), 1e8 * barrier / block.values)
            for multiplier, block in zip(multipliers, blocks, strict=True)
        ]
    raise ConvergenceError(f"no convergence at barrier {barrier:.1e}")


def _combine(blocks: list[Constraints], weights: list[FloatArray], size: int) -> FloatArray:
    """Returns the weighted sum of the constraints' gradients over all unknowns, ``<float64>[size]``."""
    total = np.zeros(size)
    for block, weight in zip(blocks, weights, strict=True):
        np.add.at(total, block.columns, weight[:, None] * block.gradients)
    return total


def _residual(cost: FloatArray, blocks: list[Constraints], multipliers: list[FloatArray], barrier: float) -> float:
    """Returns the largest violation of the optimality conditions of the barrier problem.

    Stationarity is measured relative to the size of the terms that cancel in it: where these are in the thousands,
    rounding alone exceeds any useful absolute tolerance.
    """
    sizes = _combine([b._replace(gradients=np.abs(b.gradients)) for b in blocks], multipliers, len(cost))
    imbalance = np.abs(cost - _combine(blocks, multipliers, len(cost))) / np.maximum(1, sizes)
    gaps = [np.abs(m * b.values - barrier).max() for b, m in zip(blocks, multipliers, strict=True)]
    return float(max(imbalance.max(), *gaps))


def _banded_matrix(blocks: list[Constraints], multipliers: list[FloatArray], size: int, bands: int) -> FloatArray:
    """Returns the Hessian of the Lagrangian plus barrier terms, ``<float64>[bands, size]`` in LAPACK's lower banded storage."""
    matrix = np.zeros(bands * size)
    for block, multiplier in zip(blocks, multipliers, strict=True):
        outer = block.gradients[:, :, None] * block.gradients[:, None, :]
        stiffness = (multiplier / block.values)[:, None, None]
        entries = stiffness * outer - multiplier[:, None, None] * block.hessians
        below = block.columns[:, :, None] - block.columns[:, None, :]
        place = below * size + block.columns[:, None, :]
        lower = below >= 0
        matrix += np.bincount(place[lower], weights=entries[lower], minlength=bands * size)
    return matrix.reshape(bands, size)


def _newton_step(matrix: FloatArray, downhill: FloatArray) -> FloatArray:
    """Solves ``matrix @ step = downhill``, after making the matrix positive definite if it is not; modifies the matrix."""
    added = 0.0
    while True:
        try:
            return solveh_banded(matrix, downhill, lower=True)
        except LinAlgError:
            grown = max(1e-4, 8 * added)
            matrix[0] += grown - added
            added = grown


def _line_search(
    cost: FloatArray,
    point: FloatArray,
    step: FloatArray,
    constraints: Callable[[FloatArray], list[Constraints]],
    blocks: list[Constraints],
    barrier: float,
    slope: float,
) -> tuple[FloatArray, list[Constraints]] | None:
    """Tries the step lengths 1, 1/2, 1/4, ... and takes the first that keeps all constraints and lowers the barrier function.

    Returns:
        The new point and its constraints, or None if the length falls below ``SMALLEST_STEP``.
    """

    def barrier_function(at: FloatArray, blocks_there: list[Constraints]) -> float:
        return float(cost @ at - barrier * sum(np.log(block.values).sum() for block in blocks_there))

    before = barrier_function(point, blocks)
    length = 1.0
    while length > SMALLEST_STEP:
        there = point + length * step
        reached = constraints(there)
        pairs = zip(reached, blocks, strict=True)
        if all((new.values > (1 - FRACTION_TO_BOUNDARY) * old.values).all() for new, old in pairs):
            # Rounding hides decreases below 1e-12 of the value.
            allowed = before - SUFFICIENT_DECREASE * length * slope + 1e-12 * abs(before)
            if barrier_function(there, reached) <= allowed:
                return there, reached
        length /= 2
    return None


def _new_multipliers(
    blocks: list[Constraints], multipliers: list[FloatArray], step: FloatArray, barrier: float
) -> list[FloatArray]:
    """Takes the Newton step of the multipliers, shortened so that all stay positive."""
    changes, falls = [], []
    for block, multiplier in zip(blocks, multipliers, strict=True):
        rise = (block.gradients * step[block.columns]).sum(axis=1)
        change = (barrier - multiplier * rise) / block.values - multiplier
        changes.append(change)
        falls.append(float((-change / multiplier).max()))
    fall = max(falls)
    length = min(1.0, FRACTION_TO_BOUNDARY / fall) if fall > 0 else 1.0
    return [multiplier + length * change for multiplier, change in zip(multipliers, changes, strict=True)]
