"""The events of a run, for displays of its progress."""

from __future__ import annotations

from nica_bench.method import Progress
from nica_bench.running.plan import Group

__all__ = ["Reporter"]


class Reporter:
    """A receiver of the events of a run, all in the main process; this base class ignores them.

    A group may begin more than once: the runs that a failed worker left go to another worker as a smaller group.
    """

    def begun(self, group: Group) -> None:
        """Called when a worker begins a group."""

    def step(self, group: Group, progress: Progress) -> None:
        """Called at a training step of the group."""

    def run(self, group: Group) -> None:
        """Called when the record of a run of the group is written."""

    def ended(self, group: Group) -> None:
        """Called when no worker computes the group any more."""
