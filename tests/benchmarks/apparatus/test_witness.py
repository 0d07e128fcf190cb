import pytest

from robotini_ray.benchmarks.apparatus import witness
from robotini_ray.benchmarks.apparatus.witness import Witness, read_witness, witness_to_json


def test_a_reading_counts_what_was_done_by_the_time_it_took(monkeypatch):
    """On a clock that moves by a fixed step each time it is read: one step for each piece of work."""
    step_s = 0.125
    moments = iter(range(10**6))
    monkeypatch.setattr(witness.time, "perf_counter", lambda: step_s * next(moments))
    reading = read_witness(seconds=10 * step_s)
    work_per_s = 9 / (10 * step_s)
    assert reading.matrix_product_gflop_s == pytest.approx(work_per_s * 2 * witness.MATRIX_SIZE**3 / 1e9)
    assert reading.python_million_loops_s == pytest.approx(work_per_s * witness.LOOP_TURNS / 1e6)


def test_readings_on_a_real_clock_are_positive():
    reading = read_witness(seconds=0.01)
    assert min(reading) > 0


def test_json_keeps_the_order():
    assert witness_to_json([Witness(3.0, 1.0), Witness(2.0, 4.0)]) == {
        "matrix_product_gflop_s": [3.0, 2.0],
        "python_million_loops_s": [1.0, 4.0],
    }
