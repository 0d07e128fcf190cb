"""Computes the matrix products of a train step alone: their number of operations, and the time they take one after another."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from robotini_ray.agents.factory import experience_map, make_agent
from robotini_ray.config import Config
from robotini_ray.replay.table import MID, WindowLayout

WARM_UPS = 3


class Product(NamedTuple):
    """A product ``<float32>[rows, inner] @ <float32>[inner, columns]``; either operand may be stored transposed."""

    rows: int
    inner: int
    columns: int
    transpose_a: bool
    transpose_b: bool

    @property
    def flops(self) -> int:
        """Number of multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns


class MatrixProducts:
    """A part of the benchmark that computes the products, with as many threads as the learner has.

    It sets TensorFlow's threads and optimizer for the whole process, and so needs a process of its own.

    Args:
        config: The learner's config.
    """

    def __init__(self, config: Config) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(config.learner.threads)
        tf.config.threading.set_inter_op_parallelism_threads(config.learner.threads)
        # Otherwise the graph optimizer would drop products whose values are not used.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        products = train_step_products(config)
        self._flops = sum(product.flops for product in products)
        self._run = product_function(products)
        for _ in range(WARM_UPS):
            self._run()

    def flops(self) -> int:
        """Returns the number of floating-point operations in all products of a train step."""
        return self._flops

    def measure(self, seconds: float) -> float:
        """Measures how often per second all products of a train step can be computed."""
        count, began_s = 0, time.perf_counter()
        while (elapsed_s := time.perf_counter() - began_s) < seconds or not count:
            self._run()
            count += 1
        return count / elapsed_s


def train_step_products(config: Config) -> list[Product]:
    """Finds every matrix product in the graph of one train step, including those of both gradients."""
    agent = make_agent(config, tf.Variable(0, dtype=tf.int64))
    experience, _ = experience_map(config)(_random_item(config))
    graph = tf.function(agent._train, autograph=False).get_concrete_function(experience, None).graph
    return [_product(operation) for operation in graph.get_operations() if operation.type == "MatMul"]


def product_function(products: list[Product]) -> Any:
    """Returns a function that computes all products, each on matrices of its own."""
    pairs = [
        (
            _matrix(product.rows, product.inner, product.transpose_a),
            _matrix(product.inner, product.columns, product.transpose_b),
        )
        for product in products
    ]

    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        done = [
            tf.matmul(a, b, product.transpose_a, product.transpose_b) for (a, b), product in zip(pairs, products, strict=True)
        ]
        with tf.control_dependencies(done):
            return tf.constant(0)

    return run


def _product(operation: Any) -> Product:
    (a, b), turned = (tensor.shape.as_list() for tensor in operation.inputs), operation.get_attr
    transpose_a, transpose_b = turned("transpose_a"), turned("transpose_b")
    rows, inner = reversed(a) if transpose_a else a
    columns = b[0] if transpose_b else b[1]
    return Product(rows, inner, columns, transpose_a, transpose_b)


def _matrix(rows: int, columns: int, transposed: bool) -> tf.Variable:
    shape = (columns, rows) if transposed else (rows, columns)
    return tf.Variable(np.random.default_rng(0).random(shape, np.float32))


def _random_item(config: Config) -> dict[str, tf.Tensor]:
    layout, batch = WindowLayout.from_config(config), config.agent.batch_size
    rows = np.random.default_rng(0).random((batch, layout.rows, layout.row_size), np.float32)
    rows[..., -1] = MID
    item = {"rows": tf.constant(rows)}
    if layout.state_size:
        item["state"] = tf.zeros((batch, 1, layout.state_size))
    return item
