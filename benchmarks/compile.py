"""What `--compile` brings to GIN's training step, in one run and one thread, the compilation included.

The loss is compiled as `nica-bench run --compile` does it; the optimiser and the backward pass of the flows' own
operations stay as they are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from benchmarks.common import Row, finish, median_seconds, parser, say, timed_rounds
from benchmarks.ours import Ours
from nica_bench.errors import UsageError
from nica_bench.registry import make_method
from nica_bench.training.device import check_compiler


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--replicates", type=int, default=10, help="R; default %(default)s")
    options.add_argument("--rounds", type=int, default=9, help="turns that each takes; default %(default)s")
    given = options.parse_args(arguments)
    try:
        check_compiler()
    except UsageError as error:
        say(f"not measured: {error}")
        return finish(given, {}, [])
    replicates, rounds, steps = (2, 1, 2) if given.smoke else (given.replicates, given.rounds, 20)
    rng = np.random.default_rng(0)
    data = [(rng.standard_normal((10_000, 10)), rng.integers(5, size=10_000)) for _ in range(replicates)]
    method = "gin[blocks=1]" if given.smoke else "gin"
    plain, compiled = (Ours(data, 5, 1_000, method=method, compile=compile) for compile in (False, True))
    with tempfile.TemporaryDirectory() as cache:  # an empty one: what an earlier run compiled is not to be found
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        start = sum(os.times()[:4])  # of this process and of the compilers that it calls
        compiled.steps(1)()
        compilation = sum(os.times()[:4]) - start
        variants = {"plain": plain.steps(steps), "compiled": compiled.steps(steps)}
        seconds = median_seconds(timed_rounds(variants, rounds))
    step = {name: s / steps for name, s in seconds.items()}
    length = make_method("gin").steps
    rows: list[Row] = [
        {
            "loss": name,
            "CPU ms a replicate and step": 1e3 * step[name] / replicates,
            "CPU s to compile": compilation if name == "compiled" else 0.0,
            f"CPU s for {length:,} steps": (compilation if name == "compiled" else 0.0) + length * step[name],
        }
        for name in step
    ]
    saved = step["plain"] - step["compiled"]
    verdict = f"pays from step {compilation / saved:,.0f} on" if saved > 0 else "never pays: its steps are slower"
    say(f"--compile {verdict}; a run has {length:,}")
    return finish(given, {f"R = {replicates}, batch 1,000, median of {rounds} rounds of {steps} steps": rows}, [])


if __name__ == "__main__":
    sys.exit(main())
