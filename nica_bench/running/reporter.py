"""What a run tells of itself while it goes on."""

from __future__ import annotations

from nica_bench.method import Progress
from nica_bench.running.plan import Group

__all__ = ["Reporter"]


class Reporter:
    """Takes the events of a run, all in the process that was started; this one is silent.

    A group may begin more than once: what a dead worker left of it goes to another worker as a smaller group.
    """

    def begun(self, group: Group) -> None:
        """A worker has taken a group."""

    def step(self, group: Group, progress: Progress) -> None:
        """A fit of the group goes on."""

    def run(self, group: Group) -> None:
        """One more run of the group has its record."""

    def ended(self, group: Group) -> None:
        """No worker is at the group any more."""
