"""The explorer of a report of images: what the page decodes is what the model decodes."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.browser import Browser, find
from helpers.results import changed, some, written
from nica_bench.figures.image_model import ImageModel, image_model
from nica_bench.flows import ImageFlow, inverse_program
from nica_bench.records.collection import collect
from nica_bench.records.record import Status
from nica_bench.records.store import Store
from nica_bench.registry import make_method, make_scenario
from nica_bench.report import make_report
from nica_bench.report import page as page_module
from nica_bench.report.answers import answer
from nica_bench.report.explorer import explorer_markup
from nica_bench.running.grid import Grid
from nica_bench.running.runner import execute, make_plan
from nica_bench.stats import blocks_of

chromium = pytest.mark.skipif(find() is None, reason="there is no Chromium here: apt-get install chromium")


FEW = "steps=12,lr=3e-3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer") / "out"
    methods = [make_method(label) for label in (f"gin-conv[{FEW}]", f"glow-conv[{FEW}]", "pca")]
    grid = Grid((make_scenario("digits[samples=300]"),), tuple(methods), (0,), 1)
    plan = make_plan(grid, Store.open(folder), retry=set(), force=False)
    assert [r.status for r in execute(plan, device="cpu", jobs=1)] == ["ok"] * 3
    return folder


def of_method(folder, name):
    records = collect([folder])
    return records.select(methods=[next(r.spec.method_label for r in records.records if r.spec.method == name)])


@pytest.fixture(scope="module")
def pages(folder, tmp_path_factory):
    """Paths of the pages of both flows, with their models."""
    found = {}
    for name in ("gin-conv", "glow-conv"):
        collection = of_method(folder, name)
        page, notes = make_report(collection)
        assert not any("explorer" in note for note in notes)
        path = tmp_path_factory.mktemp("pages") / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        found[name] = path, image_model(collection, collection.records[0])
    return found


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def without_explorer(collection):
    page, notes = make_report(collection)
    assert 'class="explorer"' not in page
    assert "nicaBench" not in page
    return [note for note in notes if "explorer" in note]


# What is in the page


def test_one_model_a_scenario_that_preserves_volume(folder):
    page, notes = make_report(collect([folder]))
    assert page.count('class="explorer"') == 1
    assert re.search(
        r"gin-conv\[.*?\] \(version \w+\) on digits\[samples=300\] \(version \w+\), data seed 0, training seed 0", page
    )
    assert "torch 2." in page
    assert len(page) < 3_000_000
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert len(data["order"]) in range(10, 21)
    assert data["labels"] == [label for label in range(10) for _ in range(2)]
    assert [note for note in notes if "mcc" in note or "no figure" in note or "interval" in note] == []


def test_what_is_said_of_a_scenario_without_a_truth(folder):
    page, _ = make_report(collect([folder]))
    answer = re.search(r'<ul class="answers">\s*<li>(.*?)</li>', page)[1]
    assert re.match(
        r"digits\[samples=300\]: the true latents are unknown; .* has the fewest bits per dimension, -?[\d.]+", answer
    )
    assert re.search(r"the knees, with the intervals of all rules, are \d+ \[\d+ \d+\] by", answer)
    assert "mcc" not in answer
    meaning = page[page.index('id="meaning"') :]
    for word in ("bits", "knee", "interval", "moved", "bayes", "probe", "consistency"):
        assert word in meaning
    assert "mcc_spearman" not in meaning
    assert 'id="difficulty"' not in page


def test_the_answer_has_the_consistency_of_two_training_seeds_and_needs_no_density(folder):
    collection = of_method(folder, "pca")
    (record,) = collection.records
    again = changed(record, training_seed=1)
    (block,), _ = blocks_of([record, again])
    said = answer(block, lambda _: collection.arrays(record))
    assert "no method that finished has a likelihood" in said
    assert "the consistency between training seeds is pca 1.000 (chance ." in said


def test_scenarios_with_and_without_a_truth_in_one_page(folder, tmp_path):
    vectors = written(tmp_path / "vectors", some(range(3), ("gin", "pca", "raw-x")), with_arrays=True)
    page, notes = make_report(collect([folder, vectors]))
    assert page.count('class="explorer"') == 1
    assert "gin has the best median MCC" in page
    assert "digits[samples=300]: the true latents are unknown" in page
    assert "mcc_spearman" in page
    assert "consistency measures identifiability" in page
    assert 'id="figures"' in page
    assert 'id="difficulty"' in page
    assert not any("digits" in note for note in notes)
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_without_weights_there_is_one_note(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "o", ignore=shutil.ignore_patterns("weights"))
    (note,) = without_explorer(collect([tmp_path / "o"]))
    assert "no weights were kept" in note


def test_a_method_without_a_way_back_gives_one_note(folder):
    (note,) = without_explorer(of_method(folder, "pca"))
    assert note.startswith("digits[samples=300]: no explorer of its images: ")
    assert "has no decoder from codes to images" in note


def test_where_no_method_finished_nothing_is_explored(folder):
    collection = of_method(folder, "gin-conv")
    failed = tuple(changed(r, status=Status.ERROR, scores={}, message="it failed") for r in collection.records)
    page, _ = make_report(replace(collection, records=failed))
    assert "no method finished" in page


def test_a_model_for_which_there_is_no_room_is_left_out(folder, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_BYTES", 500_000)
    (note,) = without_explorer(of_method(folder, "gin-conv"))
    assert re.search(r"its weights take 0\.\d MB, and 0\.\d MB are left", note)


# In a real browser


DECODED = "[...nicaBench.explorers[0].{}]"


@chromium
@pytest.mark.parametrize("name", ["gin-conv", "glow-conv"])
def test_the_page_decodes_what_the_model_decodes(browser, pages, name):
    path, model = pages[name]
    browser.open(path)
    assert browser.messages == []
    rng = np.random.default_rng(0)
    random = model.means + model.stds * rng.standard_normal((10, model.means.shape[1]))
    for codes in (model.means, random):
        found = [browser.js(DECODED.format(f"decode({json.dumps(row.tolist())})")) for row in codes]
        wanted = model.images(codes).reshape(len(codes), -1)
        assert wanted.std() > 0.1
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-2)
    # what it shows at first is the mean of class 0
    np.testing.assert_allclose(browser.js(DECODED.format("codes()")), model.means[0], rtol=0, atol=1e-6)


SHOWN = "nicaBench.explorers[0].draw(); [...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 8, 8).data]"
SLIDER = "document.querySelectorAll('.explorer-sliders input')[{}]"


@chromium
def test_sliders_classes_and_buttons_change_the_image(browser, pages):
    path, model = pages["gin-conv"]
    browser.open(path)
    mean = browser.js(SHOWN)
    grey = np.array(mean).reshape(64, 4)
    np.testing.assert_allclose(grey[:, 0] / 255, model.images(model.means[0]).ravel().clip(0, 1), atol=2.5e-2)
    assert (grey[:, 3] == 255).all()
    browser.js(f"{SLIDER.format(0)}.focus()")
    browser.press("End", 35)
    assert browser.js(f"{SLIDER.format(0)}.getAttribute('aria-valuetext')") == "+3.00 std"
    moved = np.array(browser.js(DECODED.format("codes()"))) - model.means[0]
    leading = model.order[0]
    assert np.flatnonzero(np.abs(moved) > 1e-6).tolist() == [leading]
    assert moved[leading] == pytest.approx(3 * model.stds[0, leading], rel=1e-5)
    assert browser.js(SHOWN) != mean

    browser.js("document.querySelector('[data-do=reset]').click()")
    assert browser.js(SHOWN) == mean
    browser.js("document.querySelector('input[type=radio][value=\"3\"]').focus()")
    browser.press(" ", 32, " ")
    np.testing.assert_allclose(browser.js(DECODED.format("codes()")), model.means[3], rtol=0, atol=1e-6)
    assert "class 3" in browser.js("document.querySelector('canvas').getAttribute('aria-label')")

    browser.js("document.querySelector('[data-do=random]').click()")
    moved = np.array(browser.js(DECODED.format("codes()"))) - model.means[3]
    sliders = browser.js("document.querySelectorAll('.explorer-sliders input').length")
    assert sorted(np.flatnonzero(np.abs(moved) > 1e-7)) == sorted(model.order[:sliders])
    assert browser.messages == []
    assert all(url.startswith(("file:", "data:")) for url in browser.requests)


def random_model(record, side, scale, **options):
    """A network of random weights as a model of images, and its explorer."""
    torch.set_num_threads(1)
    flow = ImageFlow([torch.Generator().manual_seed(0)], (1, side, side), identity=False, **options)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter *= scale
    rng, size = np.random.default_rng(0), side * side
    means, sds = 0.3 * rng.standard_normal((10, size)), np.full((10, size), 0.1)

    def decode(codes):
        with torch.no_grad():
            return flow.inverse(torch.from_numpy(np.ascontiguousarray(codes.T, np.float32))[None])[0].T.numpy()

    model = ImageModel(
        record, side, np.arange(size), means.astype(np.float32), sds.astype(np.float32),
        rng.random((20, size)).astype(np.float32), np.arange(20) // 2, lambda x, u: x, decode,
    )  # fmt: skip
    return model, explorer_markup(model, inverse_program(flow), 0)


def test_the_papers_network_leaves_room_for_figures(folder):
    _, markup = random_model(of_method(folder, "gin-conv").records[0], 28, 1)
    assert 6_900_000 < len(markup) < 7_300_000


@chromium
@pytest.mark.parametrize(
    ("side", "scale", "options"),
    [
        (28, 1.0, {}),
        (8, 1.15, {"coupling": "gin"}),
        (8, 1.06, {"coupling": "gin", "clamp": "tanh"}),
        (8, 1.15, {"coupling": "realnvp"}),
        (8, 1.0, {"coupling": "nice"}),
    ],
)
def test_the_page_decodes_with_any_weights(browser, folder, tmp_path, side, scale, options):
    model, markup = random_model(of_method(folder, "gin-conv").records[0], side, scale, **options)
    script = (Path(page_module.__file__).parent / "explorer.js").read_text(encoding="utf-8")
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{markup}<script>{script}</script>", encoding="utf-8")
    browser.open(path)
    assert browser.messages == []
    found = browser.js(DECODED.format(f"decode({json.dumps(model.means[4].tolist())})"))
    # weights so large that one clamp could not pass for the other
    expected = model.images(model.means[4]).ravel()
    assert 0.1 < expected.std() < 10
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-2 * expected.std())


@chromium
def test_a_test_image_comes_back_and_keeps_its_style(browser, pages):
    path, model = pages["gin-conv"]
    browser.open(path)
    select = "document.querySelector('.explorer select')"
    choose = f"{select}.value = '5'; {select}.dispatchEvent(new Event('change'))"
    browser.js(choose)
    assert browser.js("document.querySelector('.explorer-says').textContent") == "test image of class 2 (2)"
    np.testing.assert_allclose(
        browser.js(DECODED.format("decode(nicaBench.explorers[0].codes())")), model.x[5], atol=2e-2
    )
    browser.js("document.querySelector('input[type=radio][value=\"7\"]').click()")
    whitened = (model.encode(model.x[5:6], model.u[5:6])[0] - model.means[2]) / model.stds[2]
    expected = model.means[7] + whitened * model.stds[7]
    np.testing.assert_allclose(browser.js(DECODED.format("codes()")), expected, rtol=1e-3, atol=1e-3)


@chromium
@pytest.mark.parametrize("width", [320, 700, 1600])
def test_every_control_has_a_name_and_fits(browser, pages, width):
    browser.open(pages["gin-conv"][0])
    browser.resize(width, mobile=width < 500)
    assert browser.js("document.documentElement.scrollWidth") <= width
    unnamed = browser.js(
        "[...document.querySelectorAll('.explorer :is(input, select, button, canvas)')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()))"
        ".map(e => e.outerHTML)"
    )
    assert unnamed == []
    browser.resize(1200)
