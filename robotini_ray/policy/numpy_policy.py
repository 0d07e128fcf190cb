"""Runs a policy in NumPy, without TensorFlow, for collectors, the evaluator and bots.

All weights are kept in one flat vector in the order of ``PolicySpec.weight_shapes``, so that a broadcast is a single array.
``robotini_ray.agents.factory.flat_actor_weights`` makes such a vector from the variables of a TF-Agents network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robotini_ray.policy.policy_spec import Floats, PolicyError, PolicySpec


class NumpyPolicy:
    """The deterministic actor network for a batch of cars: dense ReLU layers, an optional LSTM, tanh actions.

    Args:
        spec: The spec of the network.
        flat_weights: ``<float32>[size]``; None starts with zeros, which give action 0: the middle of the throttle range,
            straight ahead.

    Raises:
        PolicyError: The vector does not have the length that the network needs.
    """

    def __init__(self, spec: PolicySpec, flat_weights: Floats | None = None) -> None:
        self.spec = spec
        self._flat = np.zeros(sum(_size(shape) for shape in spec.weight_shapes().values()), np.float32)
        self.weights = dict(_views(spec, self._flat))
        if flat_weights is not None:
            self.set_weights(flat_weights)

    def set_weights(self, flat_weights: Floats) -> None:
        """Copies a flat vector of weights, ``<float32>[size]``, into the network.

        Raises:
            PolicyError: The vector does not have the length that the network needs.
        """
        if flat_weights.shape != self._flat.shape:
            raise PolicyError(
                f"weights of shape {flat_weights.shape} for a network that needs {self._flat.shape}: not the same network"
            )
        self._flat[:] = flat_weights

    def flat_weights(self) -> Floats:
        """Returns a copy of the flat vector of weights, ``<float32>[size]``."""
        return self._flat.copy()

    def not_finite(self) -> str | None:
        """Returns the name of the first array of weights with a NaN or an infinite number; None if all are finite."""
        return next((name for name, array in self.weights.items() if not np.isfinite(array).all()), None)

    def initial_state(self, cars: int) -> Floats:
        """Returns the recurrent state of cars that begin an episode: zeros, ``<float32>[cars, state_size]``."""
        return np.zeros((cars, self.spec.state_size), np.float32)

    def act(self, observations: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Computes the greedy actions, without exploration noise.

        Args:
            observations: ``<float32>[cars, observation_size]``.
            state: ``<float32>[cars, state_size]``; not changed.

        Returns:
            The actions, ``<float32>[cars, 2]`` in [-1, 1], and the next state.
        """
        weights = self.weights
        x = observations
        for index in range(len(self.spec.layers)):
            x = x @ weights[f"dense_{index}/kernel"]
            x += weights[f"dense_{index}/bias"]
            np.maximum(x, 0.0, out=x)
        if self.spec.network == "lstm":
            x, state = self._lstm(x, state)
        return np.tanh(x @ weights["action/kernel"] + weights["action/bias"]), state

    def _lstm(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Computes one step of Keras' ``LSTMCell`` (Hochreiter and Schmidhuber 1997, with a forget gate; gates i, f, c, o)."""
        units = self.spec.lstm_units
        hidden, cell = state[:, :units], state[:, units:]
        gates = x @ self.weights["lstm/kernel"] + hidden @ self.weights["lstm/recurrent_kernel"]
        gates += self.weights["lstm/bias"]
        keep_in, forget, _, keep_out = (_sigmoid(gates[:, k * units : (k + 1) * units]) for k in range(4))
        candidate = np.tanh(gates[:, 2 * units : 3 * units])
        cell = forget * cell + keep_in * candidate
        hidden = keep_out * np.tanh(cell)
        return hidden, np.concatenate([hidden, cell], axis=1)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _views(spec: PolicySpec, flat: Floats) -> Iterator[tuple[str, Floats]]:
    start = 0
    for name, shape in spec.weight_shapes().items():
        yield name, flat[start : start + _size(shape)].reshape(shape)
        start += _size(shape)
