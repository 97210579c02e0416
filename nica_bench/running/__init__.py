"""Running methods on scenarios: the plan, the worker processes, and the computation of a group of runs."""
