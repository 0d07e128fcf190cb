"""The processes of the program: collector, evaluator, learner, simulator."""
