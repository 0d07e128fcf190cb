"""Tools that the benchmarks share: measured programs, timed parts, statistics and the report."""
