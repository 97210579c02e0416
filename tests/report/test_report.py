from __future__ import annotations

import html.parser
import re

import pytest
from typer.testing import CliRunner

from helpers.browser import Browser, find
from helpers.results import record, some, written
from nica_bench.cli.app import build
from nica_bench.errors import UsageError
from nica_bench.records.collection import collect
from nica_bench.report import make_report

chromium = pytest.mark.skipif(find() is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    records = some(range(4), ("gin", "pca", "raw-x", "linear-oracle"))
    records += [record("ivae", s, status="diverged", message="the loss <exploded> at step 3") for s in range(4)]
    return collect([written(tmp_path_factory.mktemp("report") / "out", records, with_arrays=True)])


@pytest.fixture(scope="module")
def page(collection):
    return make_report(collection)[0]


@pytest.fixture(scope="module")
def path(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(path):
    with Browser() as browser:
        browser.open(path)
        yield browser


class Outline(html.parser.HTMLParser):
    """Tags, links, images and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.stack = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def outline(page):
    outline = Outline()
    outline.feed(page)
    return outline


def test_it_holds_all_that_it_needs(outline, page):
    for tag, attributes in outline.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in page
    assert not re.search(r"url\((?!#|\"?data:)", page)


def test_every_figure_says_what_it_shows(outline):
    figures = [a for t, a in outline.tags if t == "svg"]
    assert len(figures) >= 7
    assert all(a.get("role") == "img" and len(a.get("aria-label", "")) > 60 for a in figures)


def test_ids_are_unique_and_links_lead_somewhere(outline):
    identifiers = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    links = {a["href"][1:] for t, a in outline.tags if t == "a"}
    assert links <= set(identifiers)


def test_it_answers_and_says_what_failed_and_how_to_do_it_again(outline):
    text = " ".join(" ".join(outline.text).split())
    assert "Which method recovers the latent variables" in text
    assert "gin has the best median MCC" in text
    assert "ivae finished on no dataset (diverged): the loss <exploded> at step 3" in text
    assert "nica-bench run -s 'gauss-2of4[conditions=3]' -m gin --seeds 0:4" in text
    assert "torch 2.13.0" in text
    assert "linear_r" in text
    assert "mcc_spearman" in text


def test_what_records_say_is_never_markup(tmp_path):
    records = [record("gin", s, status="error", message="<script>alert(1)</script>") for s in range(2)]
    records += [record("raw-x", s) for s in range(2)]
    page, _ = make_report(collect([written(tmp_path / "o", records)]), title="<b>&")
    assert "<script>alert" not in page
    assert "&lt;b&gt;&amp;</h1>" in page


@pytest.mark.parametrize(
    "records",
    [
        [record("gin", 0)],
        [record("gin", s, status="error") for s in range(3)],
        some(range(2), ("raw-x",)),
        some(range(3), ("gin",)) + [record("gin", s, version="2") for s in range(3)],
    ],
    ids=["one record", "all failed", "baselines only", "two versions"],
)
def test_a_poor_folder_still_makes_a_page(records, tmp_path):
    page, notes = make_report(collect([written(tmp_path / "o", records)]))
    assert "</html>" in page
    assert notes


def test_the_command(tmp_path):
    folder = written(tmp_path / "o", some(range(2), ("gin", "raw-x")))
    save = tmp_path / "r.html"
    result = CliRunner().invoke(build(), ["report", "--out", str(folder), "--save", str(save), "--title", "Mine"])
    assert result.exit_code == 0, result.output
    assert "<title>Mine</title>" in save.read_text()
    assert "4 records" in result.stdout
    result = CliRunner().invoke(build(), ["report", "--out", str(folder), "--save", str(tmp_path / "r.pdf")])
    assert isinstance(result.exception, UsageError)


# In a real browser


@chromium
def test_no_errors_and_nothing_is_fetched(browser, path):
    assert browser.messages == []
    assert {u for u in browser.requests if not u.startswith("data:")} == {f"file://{path}"}


@chromium
@pytest.mark.parametrize("width", [320, 400, 800, 1600])
def test_no_horizontal_scroll(browser, width):
    browser.resize(width, mobile=width < 500)
    assert browser.js("document.documentElement.scrollWidth") <= width
    # and what is wide can be reached in its own box
    assert browser.js(
        "[...document.querySelectorAll('table, svg')].every(e => e.closest('.scroll')"
        " && getComputedStyle(e.closest('.scroll')).overflowX === 'auto')"
    )
    browser.resize(1200)


COLUMN = "[...document.querySelectorAll('#scores tbody')[0].rows].map(r => r.cells[{}].textContent)"
HEAD = "document.querySelectorAll('#scores thead th')[{}]"


@chromium
def test_a_click_sorts_and_sections_stay_apart(browser, path):
    browser.open(path)
    first = browser.js(COLUMN.format(0))
    assert first == ["gin", "pca", "ivae"]
    bodies = "[...document.querySelectorAll('#scores tbody')].map(b => b.rows.length)"
    sizes = browser.js(bodies)
    browser.js(HEAD.format(0) + ".querySelector('button').click()")
    assert browser.js(COLUMN.format(0)) == ["gin", "ivae", "pca"]
    assert browser.js(HEAD.format(0) + ".getAttribute('aria-sort')") == "ascending"
    browser.js(HEAD.format(2) + ".querySelector('button').click()")
    numbers = [float(text.split()[0]) for text in browser.js(COLUMN.format(2))]
    assert numbers == sorted(numbers, reverse=True)
    assert browser.js(HEAD.format(0) + ".getAttribute('aria-sort')") == "none"
    browser.js(HEAD.format(2) + ".querySelector('button').click()")
    numbers = [float(text.split()[0]) for text in browser.js(COLUMN.format(2))]
    assert numbers == sorted(numbers)
    assert browser.js(bodies) == sizes
    assert browser.messages == []


@chromium
def test_the_keyboard_sorts(browser, path):
    browser.open(path)
    browser.js(HEAD.format(0) + ".querySelector('button').focus()")
    browser.press("Enter", 13, "\r")
    assert browser.js(COLUMN.format(0)) == ["gin", "ivae", "pca"]
    browser.press(" ", 32, " ")
    assert browser.js(COLUMN.format(0)) == ["pca", "ivae", "gin"]


def luminance(colour):
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(browser, scheme):
    browser.scheme(scheme)
    page = browser.js("getComputedStyle(document.body).backgroundColor")
    inks = browser.js(
        "['body', 'figcaption', 'caption', 'svg text', 'a[href]', '.question'].map(s => {"
        " const e = document.querySelector(s), c = getComputedStyle(e);"
        " return e instanceof SVGElement ? c.fill : c.color })"
    )
    assert (luminance(page) < 0.1) == (scheme == "dark")
    for ink in inks:
        low, high = sorted([luminance(page), luminance(ink)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, ink)
    browser.scheme("light")


@chromium
def test_it_prints(browser):
    assert browser.pdf().startswith(b"%PDF")
    browser.scheme("dark", media="print")
    assert luminance(browser.js("getComputedStyle(document.body).backgroundColor")) == 1
    assert browser.js("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    browser.scheme("light")
