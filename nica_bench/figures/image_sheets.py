"""Images that a trained model decodes from codes: traversals, samples, style transfer and reconstructions."""

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
"""The number of leading codes whose traversals are drawn by default."""

TEMPERATURE = 0.8
"""The reduced temperature (paper, Figure 9)."""

KEPT = (1, 2, 5, 10, 22, 50)
"""The numbers of leading codes that images are reconstructed from, beside all codes."""

MOST = 64
"""The largest number of codes in one figure of traversals."""

_SAMPLES = 10
_IN_A_ROW = 4


def draw_traversals(request: Request) -> Drawing:
    """Draw each code varied from -2 to +2 std in each class, other codes at the class mean, and the changed pixels."""
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
        title = f"code {rank} (std {_within(model, rank - 1):.2g})"
        images = model.images(moved(model, rank - 1, STEPS))
        blocks[-1].append(Tiles(images, title, labels if first else (), steps))
        blocks[-1].append(Tiles(heat(model, rank - 1)[:, None], "", (), ("|Δ|",), heat=True, close=True))
    what = f"code {ranks[0]}" if len(ranks) == 1 else f"{len(ranks)} codes by rank"
    heading = f"{name}: {what}, -2 to +2 std in each class\n|Δ|: pixel difference between -1 and +1 std"
    figure = sheet(blocks, heading=heading, side=72 if len(ranks) == 1 else 44)
    strongest = [labels[int(heat(model, rank - 1).sum((1, 2)).argmax())] for rank in ranks]
    said = "; ".join(f"code {r} changes class {c} most" for r, c in zip(ranks, strongest, strict=True))
    alt = (
        f"Images that {name} decodes as one code varies from -2 to +2 standard deviations over the columns, one row "
        f"per class, the other codes at their class mean; at the right a heat map of the pixel difference between -1 "
        f"and +1 standard deviation. {said}."
    )
    return Drawing(figure, alt, [model.record])


def draw_temperature(request: Request) -> Drawing:
    """Draw samples of every class at full temperature and, from the leading codes alone, at temperature .8."""
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
            f"reduced temperature: the leading {kept} of {m} codes are sampled, by the knee (by all rules "
            f"{scores.get('knee_low', kept):.0f} to {scores.get('knee_high', kept):.0f}); the others are at their mean"
        )
    full = Tiles(model.images(sampled(model, standard, m, 1.0)), "full temperature, all codes", (), labels)
    reduced = Tiles(
        model.images(sampled(model, standard, kept, TEMPERATURE)), f"T = {TEMPERATURE}, {leading}", (), labels
    )
    figure = sheet(
        [[full, reduced]], heading=f"{name}: samples, one whitened code per row, one class per column", side=56
    )
    alt = (
        f"Samples of {name}: each row is one whitened code with the moments of every class, one class per column. "
        f"Left: full temperature, all {m} codes sampled. Right: temperature {TEMPERATURE}, {leading} sampled and the "
        "others at their class mean, which removes the noise."
    )
    return Drawing(figure, alt, [model.record])


def draw_style(request: Request) -> Drawing:
    """Draw test images, and images of their whitened codes with the moments of every class: one style, all classes."""
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
        f"Style transfer by {name}: at the left a test image of each class, beside it the image's whitened code with "
        "the mean and standard deviation of every class, one column per class. The diagonal reconstructs the image."
    )
    return Drawing(figure, alt, [model.record])


def draw_reconstructions(request: Request) -> Drawing:
    """Draw reconstructions of test images from 1 to all leading codes; other codes are at the mean over all classes."""
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
        f"Test images, one per column, and their reconstructions by {name} from the leading codes, one number of codes "
        f"per row, other codes at their mean over all classes. Root mean square pixel error: {said}."
    )
    return Drawing(figure, alt, [model.record])


def chosen_model(request: Request) -> tuple[ImageModel, str]:
    """Return the model that is drawn and its name: the first of `fits_to_draw` with a decoder, on the first scenario.

    Raises:
        UsageError: if there is none.
    """
    blocks = [block for block in request.blocks if fits_to_draw(block, request.arrays)]
    if not blocks:
        raise UsageError("these records hold no model of images; `nica-bench run -s digits` makes some")
    reasons: list[str] = []
    hint = ""
    for record in fits_to_draw(blocks[0], request.arrays):
        method = record.spec.method_label
        try:
            model = image_model(request.collection, record)
        except StoreError as error:  # the weights should be there
            reasons.append(f"{method}: {error}")
            hint = "; weights are in the folder that `nica-bench run` wrote, which --out names"
            request.notes.append(f"{method} on {blocks[0].scenario} cannot be drawn: {error}")
        except UsageError as error:
            reasons.append(str(error))
        else:
            if not len(examples(model)[1]):
                raise UsageError(
                    f"{method} on {blocks[0].scenario} has no test image of a class whose moments are finite"
                )
            _note_choice(request, blocks, method, record)
            return model, f"{method} on {blocks[0].scenario}"
    raise UsageError(f"no model of {blocks[0].scenario} can be drawn: {reasons[0]}{hint}")


def _note_choice(request: Request, blocks: list[Block], method: str, record: Record) -> None:
    """Append a note on the fit that was chosen, if there are others."""
    collection: Collection = request.collection
    if len(collection.records) > 1:
        bits = record.scores.get("bits")
        why = "" if bits is None else f", {bits:.2f} bits per dimension"
        request.notes.append(
            f"{method} on {blocks[0].scenario} is drawn{why}; seed {record.spec.seed}, training seed "
            f"{record.spec.training_seed}; choose others with --scenario, --method and --seeds"
        )


def _within(model: ImageModel, rank: int) -> float:
    """Return the root mean square over classes of the std of a code."""
    return float(np.sqrt(np.mean(model.stds[known_classes(model), model.order[rank]] ** 2)))
