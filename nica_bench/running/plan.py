"""The plan of a run: its runs, what is there already, and the groups in which the rest is trained."""

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
"""More seeds than this are a slip, and would fill the memory before anybody could be asked."""


@dataclass(frozen=True)
class Run:
    """One (scenario, data seed, method, initialisation seed)."""

    scenario: Scenario
    method: Method
    seed: int
    training_seed: int

    @property
    def spec(self) -> RunSpec:
        """What identifies the run; its key is the record's file name."""
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
    """Runs of one scenario and method that one worker takes: at once where the method can, else one by one."""

    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """`gin on gauss-2of10`."""
        first = self.runs[0]
        return f"{first.method.label} on {first.scenario.label}"

    @property
    def together(self) -> bool:
        """Whether the runs are fitted at once."""
        return self.runs[0].method.replicated


def parse_seeds(text: str, what: str = "seeds") -> list[int]:
    """Seeds, or other numbers by their name `what`, from `0:10` (10 not included), `3` or `0:5,8`.

    Raises:
        UsageError: if it is none of these, or empty, or many millions.
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
    """Statuses from `failed`, which is all but ok, or such as `timeout,oom`; none from None.

    Raises:
        UsageError: for another name.
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
    """Seeds as `parse_seeds` reads them: `0:5,8`."""
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
    """All runs, method by method."""
    return [
        Run(s, m, seed, training_seed)
        for s in scenarios
        for m in methods
        for seed in seeds
        for training_seed in range(training_seeds)
    ]


def pending(runs: Iterable[Run], records: dict[str, Record], retry: set[Status], force: bool) -> list[Run]:
    """The runs to be computed: those with no record, killed from outside, or asked for again."""
    again = retry | {Status.KILLED}
    return [c for c in runs if force or (r := records.get(c.spec.key)) is None or r.status in again]


def unfit(method: Method, scenario: Scenario) -> str | None:
    """Why a method makes no sense on a scenario, or None where it does: what nobody can tell it, or its own reason."""
    if "z" in method.side_information and scenario.n_latents is None:
        return "it is told the true latents, and nobody knows them here"
    if "n" in method.side_information and scenario.stand_in_latents is None:
        return "it is told the number of latents, and there is none to tell here"
    return method.skip(scenario)


def _bytes_of(method: Method, scenario: Scenario) -> int:
    """Memory of one more replicate; where a method can't say it, its fit will fail and be a row, or not."""
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
    """Runs of one scenario and method together, spread over the jobs and sized by the memory of one job.

    Args:
        runs: what is to be computed.
        jobs: worker processes.
        memory: bytes that one job may use.
        family: what runs have in common that are trained together; None is the scenario and the method.
        largest: most runs that are trained at once, where the memory allows more.
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
