"""Images that a trained model makes of its codes: traversals, samples, style transfer and reconstructions."""

from __future__ import annotations

import numpy as np

from nica_bench.errors import UsageError
from nica_bench.figures.image_codes import STEPS, examples, heat, known_classes, moved, restyled, sampled, top_only
from nica_bench.figures.image_model import ImageModel, fits_to_draw, image_model
from nica_bench.figures.mosaic import Tiles, sheet
from nica_bench.figures.style import Drawing, Request
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.records.store import StoreError
from nica_bench.seeds import Streams
from nica_bench.stats import Block

__all__ = ["LEADING", "TEMPERATURE", "chosen_model", "draw_reconstructions", "draw_style", "draw_temperature"]
__all__ += ["draw_traversals"]

LEADING = 8
"""Codes whose traversals are drawn where none is asked for."""

TEMPERATURE = 0.8
"""The reduced temperature (paper, Figure 9)."""

KEPT = (1, 2, 5, 10, 22, 50)
"""Numbers of leading codes that images are reconstructed from; all stand beside them."""

MOST = 64
"""Codes whose traversals have room in one figure."""

_SAMPLES = 10
_IN_A_ROW = 4


def draw_traversals(request: Request) -> Drawing:
    """Each leading code from -2 to +2 sd in each class, the others at their class mean; where it acts at the right."""
    model, name = chosen_model(request)
    m = len(model.order)
    ranks = request.ranks or tuple(range(1, min(LEADING, m) + 1))
    if not 1 <= min(ranks) <= max(ranks) <= m:
        raise UsageError(f"--dimension: {name} has codes 1 to {m}, got {max(ranks) if max(ranks) > m else min(ranks)}")
    if len(ranks) > MOST:
        raise UsageError(f"--dimension: {MOST} codes at most are drawn at once, got {len(ranks)}")
    labels = [str(c) for c in known_classes(model)]
    steps = [f"{step:+.0f}" if step in (-2, -1, 1, 2) else "0" if step == 0 else "" for step in STEPS]
    in_a_row = min(_IN_A_ROW, len(ranks))
    blocks: list[list[Tiles]] = []
    for i, rank in enumerate(ranks):
        first = i % in_a_row == 0
        if first:
            blocks.append([])
        title = f"code {rank} (sd {_within(model, rank - 1):.2g})"
        images = model.images(moved(model, rank - 1, STEPS))
        blocks[-1].append(Tiles(images, title, labels if first else (), steps))
        blocks[-1].append(Tiles(heat(model, rank - 1)[:, None], "", (), ("|Δ|",), heat=True, close=True))
    what = f"code {ranks[0]}" if len(ranks) == 1 else f"{len(ranks)} codes by rank"
    heading = f"{name}: {what}, -2 to +2 sd in each class\n|Δ|: pixel difference between -1 and +1 sd"
    figure = sheet(blocks, heading=heading, side=72 if len(ranks) == 1 else 44)
    strongest = [labels[int(heat(model, rank - 1).sum((1, 2)).argmax())] for rank in ranks]
    said = "; ".join(f"code {r} changes class {c} most" for r, c in zip(ranks, strongest, strict=True))
    alt = (
        f"Images that {name} makes as one code runs from -2 to +2 standard deviations over the columns, a row a class, "
        f"the other codes at their class mean; at the right a heat map of the pixels that differ between -1 and +1 "
        f"standard deviation. {said}."
    )
    return Drawing(figure, alt, [model.record])


def draw_temperature(request: Request) -> Drawing:
    """Samples of every class, at full temperature, and at .8 with the leading codes alone; a row one whitened code."""
    model, name = chosen_model(request)
    m, scores = len(model.order), model.record.scores
    knee = scores.get("knee")
    kept = m if knee is None else max(1, min(int(knee), int(scores.get("knee_high") or m), m))
    streams = Streams.of_fit(model.record.spec.seed, model.record.spec.training_seed)
    standard = streams.numpy("figure of samples").standard_normal((_SAMPLES, m)).astype(np.float32)
    labels = [str(c) for c in known_classes(model)]
    if knee is None:
        leading = f"all {m} codes"
    else:
        leading = f"the leading {kept} codes"
        request.notes.append(
            f"reduced temperature: the leading {kept} of {m} codes are sampled, its knee (by all rules "
            f"{scores.get('knee_low', kept):.0f} to {scores.get('knee_high', kept):.0f}); the others are at their mean"
        )
    full = Tiles(model.images(sampled(model, standard, m, 1.0)), "full temperature, all codes", (), labels)
    reduced = Tiles(
        model.images(sampled(model, standard, kept, TEMPERATURE)), f"T = {TEMPERATURE}, {leading}", (), labels
    )
    figure = sheet([[full, reduced]], heading=f"{name}: samples, a row one whitened code, a column a class", side=56)
    alt = (
        f"Samples of {name}: a row is one whitened code under every class' moments, a column a class. Left: full "
        f"temperature, all {m} codes sampled. Right: temperature {TEMPERATURE}, {leading} sampled and the others at "
        "their class mean, which takes the noise away."
    )
    return Drawing(figure, alt, [model.record])


def draw_style(request: Request) -> Drawing:
    """Real test images, and the same whitened codes under every class' moments: one style, all classes."""
    model, name = chosen_model(request)
    x, u = examples(model)
    original = x.reshape(-1, 1, model.side, model.side)
    labels = [str(c) for c in known_classes(model)]
    blocks = [
        Tiles(original, "", [str(c) for c in u], ["image"]),
        Tiles(model.images(restyled(model, x, u)), "its style in every class", (), labels),
    ]
    figure = sheet([blocks], heading=f"{name}: style of test images", side=56)
    alt = (
        f"Style transfer by {name}: at the left a test image of each class, beside it the image's whitened code under "
        "the mean and standard deviation of every class, a column a class. On the diagonal the image comes back."
    )
    return Drawing(figure, alt, [model.record])


def draw_reconstructions(request: Request) -> Drawing:
    """Test images from their leading codes alone, from 1 to all; the others at their mean over all classes."""
    model, name = chosen_model(request)
    x, u = examples(model)
    m = len(model.order)
    numbers = [k for k in KEPT if k < m] + [m]
    images = np.stack([model.images(top_only(model, x, u, k)) for k in numbers])
    original = x.reshape(1, -1, model.side, model.side)
    errors = np.sqrt(np.mean((images - original) ** 2, axis=(1, 2, 3)))
    rows = [f"k = {k}" if k < m else f"all {m}" for k in numbers]
    blocks = [
        [Tiles(original, "", ["image"], [str(c) for c in u])],
        [Tiles(images, "from its leading k codes", rows, ())],
    ]
    figure = sheet(
        blocks, heading=f"{name}: test images from their leading\ncodes, the others at the mean of all classes", side=56
    )
    said = ", ".join(f"{error:.3f} from {row}" for error, row in zip(errors, rows, strict=True))
    alt = (
        f"Test images, a column each, and what {name} makes of their leading codes alone, a row a number of codes, the "
        f"others at their mean over all classes. Root mean square pixel error: {said}."
    )
    return Drawing(figure, alt, [model.record])


def chosen_model(request: Request) -> tuple[ImageModel, str]:
    """The model that is drawn, and its name for a heading: of `fits_to_draw` on the first scenario of images, the first
    whose codes lead back to images.

    Raises:
        UsageError: if there is none.
    """
    blocks = [block for block in request.blocks if fits_to_draw(block, request.arrays)]
    if not blocks:
        raise UsageError(
            "these records hold no model of images; `nica-bench run` of digits, mnist or emnist makes some"
        )
    reasons: list[str] = []
    hint = ""
    for record in fits_to_draw(blocks[0], request.arrays):
        method = record.spec.method_label
        try:
            model = image_model(request.collection, record)
        except StoreError as error:  # it should be there
            reasons.append(f"{method}: {error}")
            hint = "; weights lie in the folder that `nica-bench run` wrote, which --out names"
            request.notes.append(f"{method} on {blocks[0].scenario} cannot be drawn: {error}")
        except UsageError as error:
            reasons.append(str(error))
        else:
            if not len(examples(model)[1]):
                raise UsageError(
                    f"{method} on {blocks[0].scenario} has no test image of a class whose moments are finite"
                )
            _tell(request, blocks, method, record)
            return model, f"{method} on {blocks[0].scenario}"
    raise UsageError(f"no model of {blocks[0].scenario} can be drawn: {reasons[0]}{hint}")


def _tell(request: Request, blocks: list[Block], method: str, record: Record) -> None:
    """What else could have been drawn."""
    collection: Collection = request.collection
    if len(collection.records) > 1:
        bits = record.scores.get("bits")
        why = "" if bits is None else f", {bits:.2f} bits a dimension"
        request.notes.append(
            f"{method} on {blocks[0].scenario} is drawn{why}; seed {record.spec.seed}, initialisation "
            f"{record.spec.training_seed}; choose others with --scenario, --method and --seeds"
        )


def _within(model: ImageModel, rank: int) -> float:
    """Root mean square over classes of a code's standard deviation."""
    return float(np.sqrt(np.mean(model.sds[known_classes(model), model.order[rank]] ** 2)))
