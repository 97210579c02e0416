from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers.results import record, some, written
from nica_bench.cli.app import build
from nica_bench.errors import UsageError
from nica_bench.figures import FIGURE_KINDS, Request, figure_kind, figure_svg, save_figure
from nica_bench.figures.style import INK, representatives, theme
from nica_bench.records.collection import collect
from nica_bench.stats import blocks_of, quantity

OF_LATENTS = [name for name, kind in FIGURE_KINDS.items() if not kind.images]
METHODS = ("gin", "pca", "raw-x", "linear-oracle")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    records = some(range(8), METHODS)
    records += some(range(3), ("gin", "raw-x"), conditions=5)
    records += some(range(3), ("gin", "raw-x"), samples=800)
    records += [record("ivae", s, status="diverged") for s in range(2)]
    return collect([written(tmp_path_factory.mktemp("figures") / "out", records, with_arrays=True)])


def drawn(kind, collection, **options):
    request = Request(collection, **options)
    with theme():
        return FIGURE_KINDS[kind].draw(request), request


def own_colours(element):
    """Texts that don't take the page's colour: their own or, where nothing is said, black."""
    if "currentColor" in element.get("style", ""):
        return []
    found = [element] if element.tag.endswith("}text") else []
    return found + [text for child in element for text in own_colours(child)]


def texts(figure):
    found = []
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found += [t.get_text() for t in axes.texts]
    return found


@pytest.mark.parametrize("kind", OF_LATENTS)
def test_every_figure_has_labels_words_and_records(kind, collection):
    drawing, _ = drawn(kind, collection)
    visible = [a for a in drawing.figure.axes if a.get_visible() and a.get_label() != "<colorbar>"]
    assert visible
    assert any(a.get_xlabel() for a in visible)
    assert len(drawing.alt) > 60
    assert drawing.alt.endswith(".")
    assert drawing.records


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_file_says_where_it_comes_from(suffix, collection, tmp_path):
    path = tmp_path / f"f{suffix}"
    save_figure(figure_kind("scores"), collection.select(methods=["gin", "raw-x"]), path)
    if suffix == ".png":
        said = " ".join(Image.open(path).info[k] for k in ("Title", "Description", "Source"))
    else:
        said = path.read_bytes().decode("latin-1")
        said = said.replace("\\(", "(").replace("\\)", ")")
    for text in ("nica-bench scores", "data seeds 0:8", "gin version 1", "torch 2.13.0", "aaaaaaaaaa"):
        assert text in said, text
    first = path.read_bytes()
    save_figure(figure_kind("scores"), collection.select(methods=["gin", "raw-x"]), path)
    assert path.read_bytes() == first  # no date, no chance


@pytest.mark.parametrize("kind", OF_LATENTS)
def test_an_svg_takes_the_colours_of_its_page(kind, collection):
    svg, _ = figure_svg(FIGURE_KINDS[kind], Request(collection), "p")
    root = ET.fromstring(svg)
    assert root.get("viewBox")
    assert root.get("height") is None
    assert INK not in svg
    if kind != "correlation":  # there, text stands on coloured runs
        assert not own_colours(root)
    identifiers = re.findall(r'\bid="([^"]+)"', svg)
    assert all(name.startswith("p-") for name in identifiers)
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert targets <= set(identifiers)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", svg)


def test_numbers_on_a_light_cell_stay_dark(collection):
    svg, _ = figure_svg(FIGURE_KINDS["correlation"], Request(collection), "p")
    assert (
        len(own_colours(ET.fromstring(svg))) == 3 * 2 * 4
    )  # every number of three matrices of two latents and four codes
    drawing, _ = drawn("correlation", collection)
    colours = {t.get_color() for axes in drawing.figure.axes for t in axes.texts}
    assert colours <= {"black", "w"}


def test_scores_shows_every_dataset_and_the_baselines(collection):
    drawing, request = drawn("scores", collection.select(["gauss-2of4[conditions=3]"]))
    (axes,) = [a for a in drawing.figure.axes if a.get_visible()]
    points = sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() in "osD^vPX<>*px")
    methods = sum(s.is_method for s in request.blocks[0].series)
    assert points == 8 * methods
    assert [t.get_text() for t in axes.get_yticklabels()] == ["gin", "pca", "ivae"]  # ivae finished nowhere: last
    assert sum(line.get_marker() == "x" and len(line.get_xdata()) for line in axes.lines) == 8
    legend = [t.get_text() for t in drawing.figure.legends[0].get_texts()]
    assert {"raw-x", "linear-oracle", "failed or not run: the score of the baseline"} <= set(legend)


def test_spectrum_counts_the_knees(collection):
    drawing, _ = drawn("spectrum", collection.select(["gauss-2of4[conditions=3]"], ["gin"]))
    assert "gin: knee = n in 8 of 8" in "".join(texts(drawing.figure))
    axes = drawing.figure.axes[0]
    assert axes.get_yscale() == "log"
    assert len([line for line in axes.lines if len(line.get_xdata()) == 4]) == 8


def test_latents_are_aligned_by_the_metrics_assignment(collection):
    drawing, _ = drawn("latents", collection.select(["gauss-2of4[conditions=3]"], ["gin"]))
    correlations = [float(t[-5:-1]) for t in texts(drawing.figure) if t.startswith("true latent")]
    assert len(correlations) == 6  # two latents; best, median and worst
    assert min(correlations) > 0.9  # codes are swapped and one has the other sign: only the assignment knows
    assert [t.split(":")[0] for t in texts(drawing.figure) if "seed" in t] == ["best", "median", "worst"]


def test_best_median_and_worst():
    records = [record("gin", s, mcc=0.5 + 0.1 * s) for s in range(5)] + [record("gin", 5, status="error")]
    series = blocks_of(records)[0][0].series[0]
    picked = {name: r.spec.seed for name, r in representatives(series, quantity("mcc"))}
    assert picked == {"best": 4, "median": 2, "worst": 0}
    assert {n: r.spec.seed for n, r in representatives(series, quantity("leakage"))}["best"] == 4


def test_profiles_end_at_nothing_and_begin_at_all(collection):
    drawing, _ = drawn("profile", collection.select(["gauss-2of4[conditions=3]"], METHODS))
    for line in drawing.figure.axes[0].lines:
        shares = line.get_ydata()
        assert (np.diff(shares) <= 0).all()
        assert shares[-1] == 0


def test_pairs_are_against_the_best_method(collection):
    drawing, _ = drawn("pairs", collection.select(["gauss-2of4[conditions=3]"], METHODS))
    axes = drawing.figure.axes[0]
    assert axes.get_xlabel() == "mcc of gin minus that of the other"
    assert {t.get_text() for t in axes.get_yticklabels()} == {"pca", "raw-x"}
    assert all(t.get_text().startswith("p ") for t in axes.texts)


def test_samples_finds_what_varies(collection):
    drawing, _ = drawn("samples", collection)
    labels = {a.get_xlabel() for a in drawing.figure.axes}
    assert {"training points", "number of conditions"} <= labels


def test_loss_is_in_nats_of_all_dimensions(collection):
    drawing, _ = drawn("loss", collection.select(["gauss-2of4[conditions=3]"], ["gin"]))
    axes = drawing.figure.axes[0]
    assert axes.get_ylabel() == "loss (nats)"
    held_out = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "<"]
    assert held_out[0] == pytest.approx(-1.5 * 4)


def test_looks_do_not_depend_on_colour_alone(collection):
    looks = Request(collection).looks
    assert len({(look.marker) for look in looks.values()}) == len(looks)
    assert len({str(looks[m].dashes) for m in ("raw-x", "linear-oracle")}) == 2


@pytest.mark.parametrize(
    ("kind", "records", "message"),
    [
        ("pairs", [record("gin", 0)], "nothing to compare"),
        ("spectrum", [record("gin", 0)], "no spectrum to draw"),
        ("latents", [record("gin", 0)], "no finished record holds the arrays"),
        ("correlation", [record("gin", 0, status="error")], "no record has the metric"),
        ("loss", [record("gin", 0)], "no loss to draw"),
        ("samples", [record("gin", 0)], "no parameter varies"),
        ("difficulty", [record("gin", 0, difficulty={})], "no record has measures of difficulty"),
        ("knee", [record("gin", 0)], "no knee to draw"),
        ("traversals", [record("gin", 0)], "no model of images"),
    ],
)
def test_what_cannot_be_drawn_is_said(kind, records, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        drawn(kind, collect([written(tmp_path / "o", records)]))


@pytest.mark.parametrize("kind", ["scores", "profile", "difficulty"])
def test_one_dataset_and_failures_can_be_drawn(kind, tmp_path):
    records = [record("gin", 0, mcc=0.9), record("pca", 0, status="error"), record("raw-x", 0)]
    drawing, _ = drawn(kind, collect([written(tmp_path / "o", records)]))
    assert drawing.figure


def test_broken_arrays_are_left_out_with_a_note(tmp_path):
    folder = written(tmp_path / "o", some(range(3), ("gin", "raw-x")), with_arrays=True)
    path = folder / "cells" / f"{some(range(3), ('gin',))[0].key}.npz"
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(bytes(data))
    drawing, request = drawn("spectrum", collect([folder]))
    assert "knee = n in 2 of 2" in "".join(texts(drawing.figure))
    assert any("is left out of the figure" in note for note in request.notes)


def test_the_command(collection, tmp_path):
    folder = written(tmp_path / "o", some(range(2), ("gin", "raw-x")))
    result = CliRunner().invoke(build(), ["plot", "scores", "--out", str(folder), "--save", str(tmp_path / "a.svg")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.svg").exists()
    for arguments, message in (
        (["scroes", "--save", "a.png"], "did you mean 'scores'"),
        (["scores", "--save", "a.jpg"], "ends in .png, .svg, .pdf"),
        (["scores", "--save", "none/a.png"], "cannot be written"),
    ):
        result = CliRunner().invoke(build(), ["plot", *arguments, "--out", str(folder)])
        assert isinstance(result.exception, UsageError)
        assert message in str(result.exception)
    listed = CliRunner().invoke(build(), ["plot", "--help"]).output
    assert all(kind in listed for kind in FIGURE_KINDS)


def test_listing_figures_imports_nothing_that_draws():
    code = (
        "import sys, nica_bench.cli, nica_bench.figures\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'matplotlib', 'seaborn', 'pandas', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
