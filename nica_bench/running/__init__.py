"""Running methods on scenarios: the plan, the worker processes, and the work of one group of runs."""
