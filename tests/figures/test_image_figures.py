"""Figures of images from one small run: what is drawn, against what the model says."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers.cli import nica
from nica_bench.cli.app import build
from nica_bench.errors import UsageError
from nica_bench.figures import FIGURE_KINDS, Request, figure_svg
from nica_bench.figures.image_codes import (
    STEPS,
    examples,
    heat,
    known_classes,
    moved,
    restyled,
    sampled,
    top_only,
    whitened,
)  # fmt: skip
from nica_bench.figures.image_sheets import KEPT, chosen_model
from nica_bench.figures.mosaic import Tiles, sheet, tiled
from nica_bench.figures.style import INK, theme
from nica_bench.figures.writing import RUN_KINDS, file_name, missing_figures, write_figures
from nica_bench.metrics.knee import WIDE_RULES, estimate_dimension, knee_interval
from nica_bench.records.collection import collect
from nica_bench.records.packing import pack_runs
from nica_bench.records.store import Store

RUN = ["run", "-s", "digits", "-m", "gin-conv[steps=8]", "-m", "pca", "--jobs", "1", "--out", "out"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a run on digits has ended, and what the run said."""
    folder = tmp_path_factory.mktemp("images")
    done = nica(*RUN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture(scope="module")
def collection(finished):
    return collect([finished[0] / "out"])


@pytest.fixture(scope="module")
def model(collection):
    return chosen_model(Request(collection))[0]


def drawn(kind, collection, **options):
    request = Request(collection, **options)
    with theme():
        return FIGURE_KINDS[kind].draw(request), request


def pictures(drawing):
    """The arrays that are shown, in the order in which they were placed."""
    return [np.ma.filled(axes.images[0].get_array(), np.nan) for axes in drawing.figure.axes]


def test_a_run_on_images_leaves_figures(finished):
    folder, done = finished
    assert f"figures in {folder}/out/figures/digits" in done.stdout
    assert sorted(p.stem for p in (folder / "out/figures/digits").iterdir()) == sorted(RUN_KINDS)
    assert "one dataset" not in done.stderr
    (folder / "out/figures/digits/style.png").unlink()
    before = (folder / "out/figures/digits/knee.png").stat().st_mtime_ns
    assert "figures" not in nica(*RUN, "--no-figures", cwd=folder).stdout
    again = nica(*RUN, "--json", cwd=folder)
    assert "digits" in json.loads(again.stdout)
    assert "figures in" in again.stderr
    assert not missing_figures(folder / "out/figures/digits")
    assert (folder / "out/figures/digits/knee.png").stat().st_mtime_ns == before


def plot(*arguments):
    return CliRunner().invoke(build(), ["plot", *map(str, arguments)])


@pytest.mark.parametrize(
    ("kind", "suffix"),
    list(zip((*RUN_KINDS, "loss"), (".png", ".svg", ".pdf", ".svg", ".png", ".svg", ".png"), strict=True)),
)
def test_every_kind_is_a_command(kind, suffix, finished, tmp_path):
    file = tmp_path / f"{kind}{suffix}"
    done = plot(kind, "--out", finished[0] / "out", "--save", file)
    assert done.exit_code == 0, done.output
    assert 5_000 < file.stat().st_size < 1_500_000
    assert ("is drawn" in done.output) == (kind not in ("spectrum", "knee", "loss"))


def test_one_dimension_from_a_process(finished, tmp_path):
    file = tmp_path / "one.png"
    done = nica("plot", "traversals", "--dimension", "3", "--out", "out", "--save", file, cwd=finished[0])
    assert done.returncode == 0, done.stderr
    assert Image.open(file).info["Title"] == "nica-bench traversals"
    assert "gin-conv[steps=8] on digits is drawn, " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["traversals", "--dimension", "60:70"], "has codes 1 to 64, got 69"),
        (["traversals", "--dimension", "0"], "has codes 1 to 64, got 0"),
        (["traversals", "--dimension", "1:66"], "has codes 1 to 64, got 65"),
        (["traversals", "--dimension", "some"], "dimension are written like"),
        (["style", "--dimension", "1"], "belongs to the figure traversals, got style"),
        (["style", "-m", "pca"], "pca on digits has no decoder from codes to images"),
        (["scores"], "the true latents of digits are unknown, so there is no mcc"),
        (["latents"], "so codes cannot be compared with them"),
        (["correlation"], "so codes cannot be compared with them"),
        (["knee", "-m", "pca"], "no knee to draw"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, message, collection, finished, tmp_path):
    result = plot(*arguments, "--out", finished[0] / "out", "--save", tmp_path / "a.png")
    assert isinstance(result.exception, UsageError), result.output
    assert message in str(result.exception)


def test_records_without_their_weights(finished, tmp_path):
    store = Store.open(tmp_path / "o")
    here = Store.open(finished[0] / "out")
    for record in here.scan().records.values():
        store.write(record, here.arrays(record.key))
    with pytest.raises(UsageError, match=r"no weights were kept of this run; weights are in the folder"):
        drawn("style", collect([store.folder]))
    pack_runs(store)
    bare = tmp_path / "bare.parquet"
    bare.write_bytes((store.folder / "records.parquet").read_bytes())
    with pytest.raises(UsageError, match="no model of digits can be drawn"):
        drawn("style", collect([bare]))
    with pytest.raises(UsageError, match="no spectrum to draw"):
        drawn("spectrum", collect([bare]))
    notes = write_figures(collect([store.folder]), tmp_path / "figures", RUN_KINDS)
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["knee.png", "spectrum.png"]
    assert any(n.startswith("no figure traversals, temperature, style, reconstructions: ") for n in notes)


def test_a_spectrum_without_a_truth_says_knee_and_interval(collection):
    drawing, _ = drawn("spectrum", collection)
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes]
    assert [t.split(":")[0] for t in titles] == ["gin-conv[steps=8]", "pca"]
    assert not any("knee = n" in t for t in titles)
    for record in collection.records:
        if "n" not in record.side_information:
            found = estimate_dimension(collection.arrays(record)["test_spectrum"], wide=True)  # of what is drawn
            low, high = knee_interval(found)
            assert f"{found['late-gap']} [{low} {high}]" in "".join(titles)
    first = drawing.figure.axes[0]
    lines = [line.get_ydata() for line in first.lines if len(line.get_xdata()) == 64]
    assert len(lines) == 2  # training seeds
    spectra = [collection.arrays(r)["test_spectrum"] for r in collection.records if r.spec.method == "gin-conv"]
    for line, sd in zip(lines, spectra, strict=True):
        np.testing.assert_allclose(line, np.sort(sd)[::-1])
    assert drawing.figure.axes[1].get_ylim() == first.get_ylim()  # one axis, PCA beside it


def test_the_knee_is_followed_by_every_rule(collection):
    drawing, _ = drawn("knee", collection)
    (axes,) = drawing.figure.axes
    assert len(axes.lines) == 2 * 7
    record = next(r for r in collection.records if r.spec.method == "gin-conv")
    arrays = collection.arrays(record)
    steps, knees = arrays["history_step"], arrays["history_knee_late-gap"]
    late = axes.lines[list(WIDE_RULES).index("late-gap")]
    np.testing.assert_array_equal(late.get_xdata(), steps)
    np.testing.assert_array_equal(late.get_ydata(), knees)
    last = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (last.x0, last.x1) == pytest.approx((steps[len(steps) // 2], steps[-1]))
    assert f"moved by {record.scores['knee_moved']:.0f}" in axes.get_title(loc="left")


def test_a_traversal_goes_through_the_class_mean(model):
    codes = moved(model, 2, STEPS)
    assert codes.shape == (10, 9, 64)
    images = model.images(codes)
    np.testing.assert_allclose(images[:, 4], model.images(model.means), atol=1e-6)
    code = model.order[2]
    np.testing.assert_allclose(codes[:, -1, code], model.means[:, code] + 2 * model.stds[:, code], rtol=1e-6)
    others = np.delete(codes, code, axis=2)
    np.testing.assert_array_equal(others, np.broadcast_to(others[:, :1], others.shape))
    np.testing.assert_allclose(heat(model, 2), np.abs(images[:, 6] - images[:, 2]), atol=1e-6)


def test_traversals_show_what_the_model_makes(collection, model):
    drawing, _ = drawn("traversals", collection, ranks=(1, 5))
    shown = pictures(drawing)
    assert len(shown) == 4  # two codes, each with its heat map
    times = (shown[0].shape[0] + 2) // 10 // 8
    expected = tiled(model.images(moved(model, 4, STEPS)), times)
    np.testing.assert_array_equal(shown[2], expected)
    np.testing.assert_array_equal(shown[3], tiled(heat(model, 4)[:, None], times))
    assert "code 5" in drawing.alt
    full, _ = drawn("traversals", collection)
    assert len(pictures(full)) == 16


def test_temperature_zero_is_the_class_mean(model):
    standard = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    np.testing.assert_array_equal(sampled(model, standard, 64, 0.0), np.broadcast_to(model.means, (3, 10, 64)))
    some = sampled(model, standard, 7, 0.5)
    rest = model.order[7:]
    np.testing.assert_array_equal(some[..., rest], np.broadcast_to(model.means[:, rest], (3, 10, 57)))
    lead = model.order[:7]
    back = (some[..., lead] - model.means[:, lead]) / model.stds[:, lead]
    np.testing.assert_allclose(back, np.broadcast_to(0.5 * standard[:, None, lead], back.shape), atol=1e-4)


def test_the_same_seed_gives_the_same_samples_and_another_other_ones(collection):
    first, request = drawn("temperature", collection)
    for one, other in zip(pictures(first), pictures(drawn("temperature", collection)[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    record = first.records[0]
    kept = int(record.scores["knee"])
    assert any(f"the leading {kept} of 64 codes are sampled" in note for note in request.notes)
    training_seeds = tuple(r for r in collection.records if r.spec.training_seed == 1)
    other = drawn("temperature", type(collection)(training_seeds, collection.stores))[0]
    assert not np.array_equal(pictures(first)[0], pictures(other)[0], equal_nan=True)


def test_style_under_its_own_class_gives_the_image_back(model):
    x, u = examples(model)
    assert list(u) == list(range(10))
    images = model.images(restyled(model, x, u))
    np.testing.assert_allclose(images[np.arange(10), u], x.reshape(10, 8, 8), atol=1e-3)
    standard = whitened(model, x, u)
    np.testing.assert_allclose(
        whitened(model, model.decode(restyled(model, x, u)[:, 3]), np.full(10, 3)), standard, atol=0.02
    )


def test_all_codes_give_the_image_and_none_says_its_class(model, collection):
    x, u = examples(model)
    np.testing.assert_allclose(model.decode(top_only(model, x, u, 64)), x, atol=1e-3)
    few = top_only(model, x, u, 3)
    rest = model.order[3:]
    assert np.ptp(few[:, rest], axis=0).max() == 0  # the same for every class
    errors = [np.abs(model.decode(top_only(model, x, u, k)) - x).mean() for k in (1, 22, 64)]
    assert errors[0] > errors[1] > errors[2]
    drawing, _ = drawn("reconstructions", collection)
    labels = [t.get_text() for t in drawing.figure.axes[1].get_yticklabels()]
    assert labels == [*(f"k = {k}" for k in KEPT), "all 64"]


def test_what_is_drawn_is_named_and_classes_without_moments_left_out(collection, model):
    _, request = drawn("style", collection)
    assert any("gin-conv[steps=8] on digits is drawn, " in note for note in request.notes)
    assert model.record.spec.training_seed == 0
    means = model.means.copy()
    means[4] = np.nan
    lacking = dataclasses.replace(model, means=means)
    assert list(known_classes(lacking)) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert moved(lacking, 0, STEPS).shape == (9, 9, 64)
    assert 4 not in examples(lacking)[1]


def test_images_lie_on_whole_pixels_and_upright():
    images = np.zeros((2, 3, 4, 5), np.float32)
    images[1, 0, 0] = 1.0  # a line at the top
    whole = tiled(images, 3)
    assert whole.shape == (2 * 12 + 2, 3 * 15 + 2 * 2)
    assert (whole[14:17, :15] == 1).all()
    assert np.nansum(whole) == 3 * 15
    assert np.isnan(whole[12:14]).all()
    with theme():
        figure = sheet([[Tiles(images, "block", ("a", "b"), ("1", "2", "3"))]], heading="a heading", side=12)
    (axes,) = figure.axes
    pixels = axes.get_window_extent()
    np.testing.assert_allclose([pixels.width, pixels.height, pixels.x0 % 1, pixels.y0 % 1], [49, 26, 0, 0], atol=1e-6)
    assert axes.images[0].get_extent()[2] > axes.images[0].get_extent()[3]  # the first row is at the top


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_an_svg_for_a_page(kind, collection):
    svg, drawing = figure_svg(FIGURE_KINDS[kind], Request(collection), "p")
    assert INK not in svg
    assert len(svg) < 1_500_000
    assert ("data:image/png" in svg) == (kind not in ("spectrum", "knee"))
    assert len(drawing.alt) > 100
    assert drawing.alt.endswith(".")


@pytest.mark.parametrize(
    ("label", "name"), [("digits", "digits"), ("digits[samples=300,x=1]", "digits-samples-300-x-1"), ("[]", "scenario")]
)
def test_a_label_is_a_file_name(label, name):
    assert file_name(label) == name


def test_a_model_that_ranks_codes_by_their_std_takes_precedence_over_one_with_fewer_bits():
    from types import SimpleNamespace as Space

    from nica_bench.figures.image_model import fits_to_draw
    from nica_bench.records.record import Status

    names = {"class_means", "example_x"}
    bits = {"glow": -5.0, "gin": -3.0, "gin-better": -4.0}
    records = {m: Space(status=Status.OK, array_names=names, scores={"bits": b}, method=m) for m, b in bits.items()}
    sd = np.array([3.0, 2.0])
    block = Space(series=[Space(method=m, records={(0, 0): r}) for m, r in records.items()])
    found = fits_to_draw(
        block, lambda r: {"importance": sd if "gin" in r.method else 2 * sd, "ranking_within_class_sd": sd}
    )
    assert [record.method for record in found] == ["gin-better", "gin", "glow"]


def test_the_held_out_loss_of_images_is_drawn_in_nats_of_all_pixels(collection):
    drawing, _ = drawn("loss", collection.select([], ["gin-conv"]))
    markers = [line.get_ydata()[0] for line in drawing.figure.axes[0].lines if line.get_marker() == "<"]
    assert markers == pytest.approx([64 * record.training["heldout_loss"] for record in drawing.records])
    assert len(markers) == 2
    assert "held out, at the end" in [t.get_text() for t in drawing.figure.legends[0].get_texts()]


def test_a_legend_has_no_held_out_loss_that_is_not_drawn(collection):
    records = [
        msgspec.structs.replace(r, training={**r.training, "heldout_loss": None})
        for r in collection.select([], ["gin-conv"]).records
    ]
    drawing, _ = drawn("loss", dataclasses.replace(collection, records=tuple(records)))
    assert [t.get_text() for t in drawing.figure.legends[0].get_texts()] == ["training, one line per run"]
