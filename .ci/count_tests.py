"""Print `N passed, N failed, N skipped` from pytest's JUnit files.

With --full exit with 1 if a test was skipped for want of what a complete machine has.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

REQUIRED = ("../shared", "Chromium", "pdflatex", "Slurm")
"""Words in the reasons of skips that a complete machine does not have."""


def main(paths: list[str], full: bool) -> int:
    """Count the test cases of files. An error in setting up or tearing down counts as a failure."""
    counts: Counter[str] = Counter()
    wanting = []
    for case in (case for path in paths for case in ElementTree.parse(path).iter("testcase")):
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is None:
            counts["passed"] += 1
        elif skipped.get("type") == "pytest.xfail":
            counts["failed as expected"] += 1
        else:
            counts["skipped"] += 1
            reason = str(skipped.get("message"))
            if any(word in reason for word in REQUIRED):
                wanting.append(f"{name}: {reason}")
    for line in wanting if full else []:
        print(f"skipped, but required here: {line}", file=sys.stderr)
    for name in counts.keys() - {"passed", "failed", "skipped"}:
        print(f"{counts[name]} {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return int(full and bool(wanting))


if __name__ == "__main__":
    sys.exit(main([path for path in sys.argv[1:] if path != "--full"], "--full" in sys.argv))
