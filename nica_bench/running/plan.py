"""The runs of a command, the runs that are pending, and the groups in which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.parameters import values_of
from nica_bench.records.record import Record, RunSpec, Status
from nica_bench.scenario import Scenario

__all__ = [
    "Group",
    "Run",
    "grouped",
    "make_runs",
    "parse_seeds",
    "parse_statuses",
    "pending",
    "seeds_text",
    "unfit",
]


_MANY = 10_000_000
"""The largest number of seeds in one range; more would fill the memory."""


@dataclass(frozen=True)
class Run:
    """One run: a scenario, a data seed, a method and a training seed."""

    scenario: Scenario
    method: Method
    seed: int
    training_seed: int

    @property
    def spec(self) -> RunSpec:
        """The spec that identifies the run; its key is the file name of the record."""
        content = self.scenario.fingerprint()
        return RunSpec(
            scenario=self.scenario.name,
            scenario_parameters=values_of(self.scenario),
            scenario_version=self.scenario.version if content is None else f"{self.scenario.version}+{content}",
            method=self.method.name,
            method_parameters=self.method.parameter_values(),
            method_version=self.method.version,
            seed=self.seed,
            training_seed=self.training_seed,
            scenario_label=self.scenario.label,
            method_label=self.method.label,
        )


@dataclass(frozen=True)
class Group:
    """Runs of one scenario and method on one worker, fitted together if the method can, else one after another."""

    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """The label of the group: `gin on gauss-2of10`."""
        first = self.runs[0]
        return f"{first.method.label} on {first.scenario.label}"

    @property
    def together(self) -> bool:
        """Whether the runs are fitted together."""
        return self.runs[0].method.replicated


def parse_seeds(text: str, what: str = "seeds") -> list[int]:
    """Return seeds, or other numbers called `what`, from `0:10` (10 not included), `3` or `0:5,8`.

    Raises:
        UsageError: if the text has another form, is empty, or has a range of more than 10 million seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        low, colon, high = part.strip().partition(":")
        try:
            first = int(low)
            last = int(high) if colon else first + 1
        except ValueError as error:
            raise UsageError(f"{what} are written like 0:10, 3 or 0:5,8; got '{text}'") from error
        if first < 0 or last <= first:
            raise UsageError(f"{what} are written low:high with 0 <= low < high, got '{text}'")
        if last - first > _MANY:
            raise UsageError(f"{what}: {_MANY:,} at most, got '{text}', which are {last - first:,}")
        seeds.extend(range(first, last))
    return list(dict.fromkeys(seeds))


def parse_statuses(text: str | None) -> set[Status]:
    """Return statuses from a text such as `timeout,oom`, or `failed` for all but ok; None gives no status.

    Raises:
        UsageError: if a name is not a status.
    """
    failed = {s for s in Status if s is not Status.OK}
    chosen: set[Status] = set()
    for name in text.split(",") if text is not None else ():
        if name == "failed":
            chosen |= failed
        elif name in {s.value for s in failed}:
            chosen.add(Status(name))
        else:
            raise UsageError(f"--retry: unknown status '{name}'; {did_you_mean(name, ['failed', *failed])}")
    return chosen


def seeds_text(seeds: Iterable[int]) -> str:
    """Return seeds in the notation of `parse_seeds`: `0:5,8`."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and runs[-1][1] == seed:
            runs[-1][1] += 1
        else:
            runs.append([seed, seed + 1])
    return ",".join(str(low) if high == low + 1 else f"{low}:{high}" for low, high in runs)


def make_runs(
    scenarios: Iterable[Scenario], methods: Sequence[Method], seeds: Sequence[int], training_seeds: int
) -> list[Run]:
    """Return all runs, method by method."""
    return [
        Run(s, m, seed, training_seed)
        for s in scenarios
        for m in methods
        for seed in seeds
        for training_seed in range(training_seeds)
    ]


def pending(runs: Iterable[Run], records: dict[str, Record], retry: set[Status], force: bool) -> list[Run]:
    """Return the runs to be computed: those without a record, killed ones, and those to be repeated."""
    repeated = retry | {Status.KILLED}
    return [c for c in runs if force or (r := records.get(c.spec.key)) is None or r.status in repeated]


def unfit(method: Method, scenario: Scenario) -> str | None:
    """Return why `method` cannot run on `scenario`, or None if it can."""
    if "z" in method.side_information and scenario.n_latents is None:
        return "it needs the true latents, which are unknown"
    if "n" in method.side_information and scenario.stand_in_latents is None:
        return "it needs the number of latents, which is unknown"
    return method.skip(scenario)


def _bytes_of(method: Method, scenario: Scenario) -> int:
    """Return the memory of one replicate in bytes; if the method raises an error, the estimate of the base class."""
    n_latents = scenario.n_observed if scenario.stand_in_latents is None else scenario.stand_in_latents
    sizes = scenario.samples, scenario.n_observed, scenario.conditions, n_latents
    try:
        return method.bytes_per_replicate(*sizes)
    except Exception:
        return Method.bytes_per_replicate(method, *sizes)


def grouped(
    runs: Iterable[Run],
    jobs: int,
    memory: float,
    family: Callable[[Run], Hashable] | None = None,
    largest: int | None = None,
) -> list[Group]:
    """Return the runs in groups of one scenario and method, spread over the jobs and limited by the memory of a job.

    Args:
        runs: the runs to be computed.
        jobs: the number of worker processes.
        memory: the memory of one job in bytes.
        family: the function whose value is equal for runs that may be in one group; None: scenario and method.
        largest: the largest number of runs that are trained together.
    """
    families: dict[Hashable, list[Run]] = {}
    for run in runs:
        families.setdefault((run.scenario, run.method) if family is None else family(run), []).append(run)
    groups = []
    for members in families.values():
        size = -(-len(members) // jobs)
        if members[0].method.replicated:
            each = _bytes_of(members[0].method, members[0].scenario)
            size = max(1, min(size, int(memory / each), largest or size))
        groups += [Group(tuple(members[i : i + size])) for i in range(0, len(members), size)]
    return groups
