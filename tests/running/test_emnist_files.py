"""The EMNIST run from end to end, on the 600 of its images that lie beside the repository."""

import json
from html.parser import HTMLParser

from helpers.cli import nica
from helpers.images import shared_digits

FIGURES = {"spectrum", "knee", "traversals", "temperature", "style", "reconstructions"}


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.fetched = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values.get("id")))
        self.fetched += [
            v for k, v in values.items() if k in ("src", "href") and v and not v.startswith(("#", "data:"))
        ]


def test_one_command_leads_from_files_to_figures_and_page(tmp_path, monkeypatch):
    monkeypatch.setenv("NICA_BENCH_DATA", str(shared_digits()))
    methods = ("-m", "gin-conv[steps=6]", "-m", "pca")
    done = nica("run", "-s", "emnist-subset", *methods, "--training-seeds", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {row["method"].partition("[")[0]: row for row in json.loads(done.stdout)["emnist-subset"]}
    gin, pca = rows["gin-conv"], rows["pca"]
    assert gin["bits"] < 1.4, "it starts at the identity, whose codes are pixels of sd .3 at most"
    assert 0 <= gin["knee_low"] <= gin["knee"] <= gin["knee_high"] <= 784
    assert -1 < gin["consistency"] < pca["consistency"]
    assert gin["images"].startswith("a subset of 600 EMNIST Digits"), "no table may pass it off as EMNIST"
    figures = {path.stem: path for path in (tmp_path / "results/figures/emnist-subset").glob("*.png")}
    assert figures.keys() >= FIGURES
    assert all(path.stat().st_size > 10_000 for path in figures.values())
    shown = nica("report", "--save", "page.html", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    text = (tmp_path / "page.html").read_text()
    assert 5e6 < len(text) < 10e6, "it holds the network of 2,620,192 weights in half precision"
    page = Page(text)
    assert not page.fetched
    assert "a subset of 600 EMNIST Digits" in text
