"""A fitted model of images, restored from its record and weights, for figures of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.metrics import top_codes
from nica_bench.program import Program
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.registry import data_file, make_method, make_scenario, method_file, scenario_file
from nica_bench.stats import Block

__all__ = ["ImageModel", "fits_to_draw", "image_model"]

_ARRAYS = ("importance", "class_means", "class_sds", "example_x", "example_u")


@dataclass(frozen=True)
class ImageModel:
    """A trained model of images with the moments of its codes.

    Args:
        record: the record of the fit.
        side: the height and width of the images.
        order: the codes by the method's own ranking, the most important first, shape (m,).
        means, stds: mean and std of every code in every class, shape (K, m) each.
        x, u: some test images (E, D) and their classes (E,), class by class.
        encode: the function from images (N, D) and their classes (N,) to codes (N, m).
        decode: the function from codes (N, m) to images (N, D), not clipped to [0, 1].
        program: the function that returns `decode` as plain operations; None, or UsageError, if it has no such form.
    """

    record: Record
    side: int
    order: NDArray[np.intp]
    means: NDArray[np.float32]
    stds: NDArray[np.float32]
    x: NDArray[np.float32]
    u: NDArray[np.int64]
    encode: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
    decode: Callable[[NDArray[Any]], NDArray[Any]]
    program: Callable[[], Program] | None = None

    @property
    def classes(self) -> int:
        """The number of classes K."""
        return len(self.means)

    def images(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return the images (..., side, side) of codes (..., m)."""
        flat = self.decode(codes.reshape(-1, codes.shape[-1]).astype(np.float32))
        return flat.reshape(*codes.shape[:-1], self.side, self.side)


def image_model(collection: Collection, record: Record) -> ImageModel:
    """Rebuild the model of a record; nothing is trained.

    Raises:
        UsageError: if the record is of no fit on images, its method has no way back from codes to images, or it was
            made by another version.
        StoreError: if its weights or arrays are missing or broken.
    """
    spec = record.spec
    if record.status is not Status.OK:
        raise UsageError(f"{spec.method_label} on {spec.scenario_label} has no model to draw: it is {record.status}")
    weights, arrays = collection.weights(record), collection.arrays(record)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise UsageError(f"the record {spec.short} is not a fit on images: it has no {' and no '.join(missing)}")
    for label in (spec.scenario_label, spec.method_label):
        if method_file(label) is not None or scenario_file(label) is not None or data_file(label) is not None:
            raise UsageError(f"'{label}' is a file, and no file is imported because a record names it")
    scenario, method = make_scenario(spec.scenario_label), make_method(spec.method_label)
    if (scenario.version, method.version) != (spec.scenario_version, spec.method_version):
        raise UsageError(
            f"the weights of {spec.short} are of {method.label} version {spec.method_version} on {scenario.label} "
            f"version {spec.scenario_version}; here are versions {method.version} and {scenario.version}"
        )
    codec = method.restore(weights, scenario)
    if codec is None or codec.decode is None or scenario.image_shape is None:
        raise UsageError(f"{method.label} on {scenario.label} has no decoder from codes to images")
    if scenario.image_shape != (1, scenario.image_shape[1], scenario.image_shape[1]):
        raise UsageError(f"{scenario.label}: expected square images of one channel, got {scenario.image_shape}")
    importance = arrays["importance"]
    return ImageModel(
        record,
        scenario.image_shape[1],
        np.asarray(top_codes(importance, len(importance)), np.intp),
        arrays["class_means"],
        arrays["class_sds"],
        arrays["example_x"],
        arrays["example_u"].astype(np.int64),
        lambda x, u: codec.encode(x.astype(np.float32), u if "u" in method.side_information else None),
        codec.decode,
        codec.program,
    )


def fits_to_draw(block: Block, arrays: Callable[[Record], Mapping[str, NDArray[Any]]]) -> list[Record]:
    """Return one fit of each method whose records hold class moments, in the order of preference for figures.

    The fit is the first finished one by data seed and training seed. Methods that rank codes by their within-class std,
    as volume-preserving flows do, come first; among these and among the others the fewest bits come first.

    Args:
        block: the records of one scenario.
        arrays: the function that returns the arrays of a record, none if they cannot be read.
    """
    found = []
    for series in block.series:
        ok = [r for _, r in sorted(series.records.items()) if r.status is Status.OK and _has_moments(r)]
        if ok:
            bits = [v for r in ok if (v := r.scores.get("bits")) is not None]
            ranked_by_std = _ranks_by_std(arrays(ok[0]))
            found.append((not ranked_by_std, float(np.median(bits)) if bits else math.inf, series.method, ok[0]))
    return [record for *_, record in sorted(found, key=lambda entry: entry[:3])]


def _has_moments(record: Record) -> bool:
    return {"class_means", "example_x"} <= record.array_names


def _ranks_by_std(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the method's own ranking is the within-class std of its codes."""
    return "ranking_within_class_sd" in arrays and np.array_equal(
        arrays["importance"], arrays["ranking_within_class_sd"]
    )
