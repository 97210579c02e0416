"""Print `N passed, N failed, N skipped` from pytest's JUnit files; exit 1 where `../shared` was missing for a test."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter


def main(paths: list[str]) -> int:
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
            reason = f"{skipped.get('message')} {skipped.text}"
            if "shared" in reason:
                wanting.append(f"{name}: {reason}")
    for line in wanting:
        print(f"skipped for want of ../shared: {line}", file=sys.stderr)
    for name in counts.keys() - {"passed", "failed", "skipped"}:
        print(f"{counts[name]} {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return int(bool(wanting))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
