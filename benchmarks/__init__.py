"""Speed, memory and quality, as ratios against a peer in one run. Run one with `python -m benchmarks.NAME`."""

import os

# One thread in every library: read when it is first imported, so it is set before.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
