"""A trained model of images that decodes in the page: its weights, and sliders for its leading codes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import resources
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.figures.image_model import ImageModel, fits_to_draw, image_model
from nica_bench.program import Program
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.records.store import StoreError
from nica_bench.stats import Block
from nica_bench.tables.table import number

__all__ = ["explorer", "explorer_markup"]

LEAST_SLIDERS, MOST_SLIDERS = 10, 20
"""The smallest and the largest number of codes with a slider; in between it is the knee."""


def explorer(collection: Collection, block: Block, place: int, room: int) -> tuple[str, list[str]]:
    """Return the explorer of a scenario of unlabelled images.

    One model is exported, with weights in float16: the first of `fits_to_draw` that can be exported.

    Args:
        collection: the records with their weights and arrays.
        block: the records of the scenario.
        place: the number of this explorer in the page.
        room: the largest size in bytes.

    Returns:
        The markup, empty if there is none, and notes that say why.
    """
    if not _of_images(block):
        return "", []
    found: tuple[ImageModel, Program] | None = None
    reasons: list[str] = []
    for record in fits_to_draw(block, partial(_arrays, collection)):
        try:
            found = _exportable(collection, record)
            break
        except NicaBenchError as error:
            reasons.append(str(error))
    if found is None:
        why = reasons[0] if reasons else "no method finished"
        return "", [f"{block.scenario}: no explorer of its images: {why}"]
    markup = explorer_markup(*found, place)
    if len(markup) > room:
        size = f"{len(markup) / 1e6:.1f} MB, and {max(room, 0) / 1e6:.1f} MB are left for it in the page"
        return "", [f"{block.scenario}: no explorer of its images: its weights take {size}"]
    return markup, []


def _of_images(block: Block) -> bool:
    return block.series[0].first.image_shape is not None


def _arrays(collection: Collection, record: Record) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a record, none if they are broken, which `image_model` reports."""
    try:
        return collection.arrays(record)
    except StoreError:
        return {}


def _exportable(collection: Collection, record: Record) -> tuple[ImageModel, Program]:
    model = image_model(collection, record)
    if model.program is None:
        raise UsageError(f"the decoder of {record.spec.method_label} cannot be expressed as plain operations")
    if not all(np.isfinite(array).all() for array in (model.means, model.stds)):
        raise UsageError(f"the codes of {record.spec.short} are not finite")
    return model, model.program()


def explorer_markup(model: ImageModel, program: Program, place: int) -> str:
    """Return the markup of the explorer of one model.

    Args:
        model: the model, of square images with one channel.
        program: its decoder.
        place: the number of this explorer in the page.
    """
    record = model.record
    knee = record.scores.get("knee") or 0
    sliders = min(len(model.order), int(np.clip(knee, LEAST_SLIDERS, MOST_SLIDERS)))
    operations, weights = program.described()
    data = {
        "side": model.side,
        "order": model.order[:sliders].tolist(),
        "labels": model.u.tolist(),
        "operations": operations,
        "weights": _base64(weights, "<f2"),
        "means": _base64(model.means, "<f4"),
        "sds": _base64(model.stds, "<f4"),
        "examples": _base64(model.encode(model.x, model.u), "<f4"),
    }
    sds = np.sqrt(np.mean(np.square(model.stds, dtype=np.float64), axis=0))[model.order[:sliders]]
    source = resources.files("nica_bench.report").joinpath("explorer.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    return template.render(
        number=place,
        side=model.side,
        classes=model.classes,
        examples=_names(model.u),
        origin=_origin(record, sliders, len(model.order), len(weights)),
        sds=[number(float(sd), 3) for sd in sds],
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _base64(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")


def _names(labels: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Return the names of test images, such as 'test image of class 3 (1)', numbered per class."""
    counts: dict[int, int] = {}
    names = []
    for label in map(int, labels):
        counts[label] = counts.get(label, 0) + 1
        names.append(f"test image of class {label} ({counts[label]})")
    return names


def _origin(record: Record, sliders: int, codes: int, weights: int) -> str:
    """Return the description of the fit and of the controls."""
    spec, made = record.spec, record.provenance
    commit = ((made.get("git") or {}).get("commit") or "no commit")[:10]
    torch = (made.get("versions") or {}).get("torch") or "unknown"
    return (
        f"{spec.method_label} (version {spec.method_version}) on {spec.scenario_label} (version "
        f"{spec.scenario_version}), data seed {spec.seed}, training seed {spec.training_seed}, made by nica-bench "
        f"{made.get('nica_bench') or 'unknown'} ({commit}), torch {torch}. The page contains its {weights:,} weights "
        f"in half precision and decodes locally. A slider moves one of the {sliders} leading codes of {codes}, by the "
        "method's own ranking, from -3 to +3 standard deviations of the class; the std beside it is that of the code "
        "within classes, over training images. When the class is changed, the standardised codes are kept. A random "
        "image samples the codes that have a slider and leaves the others at the mean."
    )
