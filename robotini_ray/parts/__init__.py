"""The parts of a run, each a process of its own: learner, collectors, evaluator and embedded simulators."""
