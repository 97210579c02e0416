"""What jobs ask Slurm for: times, sizes and lines of the script."""

from __future__ import annotations

import pytest

from nica_bench.errors import UsageError
from nica_bench.running.resources import Resources, parse_memory, parse_time


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:00", 90), ("90:01", 91), ("1:30:00", 90), ("2-12", 3600), ("1-0:30", 1470), ("0:0:10", 1)],
)
def test_times(text, minutes):
    assert parse_time(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "h", "1:2:3:4", "-5", "0-0"])
def test_no_times(text):
    with pytest.raises(UsageError, match="a time is written"):
        parse_time(text)


def test_memory():
    assert [parse_memory(t) for t in ("4G", "500M", "500", "1.5g", "2GB", "1T", "2048K")] == [
        4096,
        500,
        500,
        1536,
        2048,
        1 << 20,
        2,
    ]
    for text in ("", "0", "G", "5X", "1K"):
        with pytest.raises(UsageError, match="a memory is written"):
            parse_memory(text)


def test_extra_lines_are_flags_or_shell():
    given = Resources(
        extra=("#SBATCH --mail-type=FAIL", "--exclusive", "module load cuda", "#SBATCH -C a100"), gpus=2
    ).sbatch("n")
    assert given["additional_parameters"] == {"requeue": True, "mail-type": "FAIL", "exclusive": True}
    assert given["setup"] == ["#SBATCH -C a100", "module load cuda"]  # sbatch reads no line behind a command
    assert given["gpus_per_node"] == 2
