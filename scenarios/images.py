"""`emnist`, `mnist`, `emnist-subset`, `digits`: handwritten digits with unknown latents (paper, section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset, Integers, Split
from nica_bench.errors import UsageError
from nica_bench.images import COLLECTIONS, as_rows, data_folder, load, missing_message
from nica_bench.parameters import parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["EMNIST", "MNIST", "Digits", "EMNISTSubset", "ImageScenario"]


@dataclass(frozen=True)
class ImageScenario(Scenario):
    """Real images with their classes as conditions. Their latents and the number of latents are unknown.

    Published test images are fixed; the validation images are drawn from the training images by the seed.
    """

    version: ClassVar[str] = "2"
    sized: ClassVar[bool] = False
    equivalence: ClassVar[str] = "component-wise affine"
    default_seeds: ClassVar[str] = "0"
    title: ClassVar[str]
    """The description of the images, which is part of the record."""
    side: ClassVar[int] = 28
    """The height and width of an image."""
    knee: ClassVar[int]
    """The number of latents that is given to methods with side information n."""
    knee_source: ClassVar[str]
    """The source of that number."""
    paper_knee: ClassVar[int | None] = None
    """The number of latents that the paper reports for these images."""

    n_latents: None = field(default=None, init=False)
    n_observed: int = field(default=784, init=False)
    conditions: int = field(default=10, init=False)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The image shape, with one channel."""
        return 1, self.side, self.side

    @property
    def stand_in_latents(self) -> int:
        """The number of latents that is given to methods with side information n, see `knee_source`."""
        return self.knee

    def warnings(self) -> list[str]:
        """Return a warning that the true latents are unknown."""
        return [
            f"the true latents of {self.title} are unknown, so metrics that need them are not applicable; methods with "
            f"side information n receive n = {self.knee} ({self.knee_source})"
        ]

    def unavailable(self) -> str | None:
        """Return which files are missing and how to get them, or None if there are none."""
        return missing_message(COLLECTIONS[self.family], data_folder()) if self.family in COLLECTIONS else None

    def _published(self, seed: int, held_out: int) -> Dataset:
        """Return the published images, with validation images drawn from the training images by the seed."""
        train, test = load(COLLECTIONS[self.family], data_folder())
        assert train is not None, "the collections of these scenarios have a training part"
        order = _order(self, len(train.labels), self.samples, held_out, "training images", seed)
        rows, validation = order[held_out:], order[:held_out]
        return self._dataset(
            Split(as_rows(train, rows), _labels(train.labels, rows)),
            Split(as_rows(train, validation), _labels(train.labels, validation)),
            Split(as_rows(test), _labels(test.labels)),
            verified=train.verified and test.verified,
        )

    def _all_drawn(self, count: int, held_out: int, seed: int) -> list[NDArray[np.intp]]:
        """Return the rows for training, validation and test, all drawn from the images by the seed."""
        order = _order(self, count, self.samples, 2 * held_out, "images", seed)
        return [order[2 * held_out :], order[:held_out], order[held_out : 2 * held_out]]

    def _dataset(self, train: Split, validation: Split, test: Split, **truth: Any) -> Dataset:
        said = {
            "images": self.title,
            "latents": None,
            "told_latents": self.knee,
            "told_latents_source": self.knee_source,
            "paper_latents": self.paper_knee,
            "training_images": len(train.u),
            "validation_images": len(validation.u),
            "test_images": len(test.u),
            **truth,
        }
        return Dataset(
            train,
            validation,
            test,
            self.conditions,
            said,
            image_shape=self.image_shape,
            stand_in_latents=self.stand_in_latents,
        )


@dataclass(frozen=True)
class MNIST(ImageScenario):
    """MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28; its knee differs from EMNIST's."""

    family = "mnist"
    title = "MNIST"
    knee = 14
    knee_source = "a count by eye with the paper's network, 13 to 15"

    samples: int = parameter(50_000, "training images", low=10)
    held_out: int = parameter(10_000, "validation images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Return the published images, with validation images drawn by the seed."""
        return self._published(seed, self.held_out)


@dataclass(frozen=True)
class EMNIST(ImageScenario):
    """EMNIST Digits, as in the paper: 240,000 training and 40,000 test images of handwritten digits, 28 x 28."""

    family = "emnist"
    title = "EMNIST Digits"
    knee = 22
    knee_source = "the paper's count on EMNIST"
    paper_knee = 22

    samples: int = parameter(230_000, "training images", low=10)
    held_out: int = parameter(10_000, "validation images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Return the published images, with validation images drawn by the seed."""
        return self._published(seed, self.held_out)


@dataclass(frozen=True)
class EMNISTSubset(ImageScenario):
    """600 test images of EMNIST Digits, for a test of the pipeline; this is not the experiment of the paper."""

    family = "emnist-subset"
    title = "a subset of 600 EMNIST Digits test images, a trial of the pipeline and not the paper's experiment"
    knee = 22
    knee_source = "the paper's count on the whole of EMNIST"

    samples: int = parameter(400, "training images", low=10)
    held_out: int = parameter(100, "validation images, and as many test images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Return a split of the 600 images into three parts by the seed."""
        _, images = load(COLLECTIONS[self.family], data_folder())
        parts = self._all_drawn(len(images.labels), self.held_out, seed)
        train, validation, test = (Split(as_rows(images, p), _labels(images.labels, p)) for p in parts)
        return self._dataset(train, validation, test, verified=images.verified)


@dataclass(frozen=True)
class Digits(ImageScenario):
    """The 1,797 handwritten digits of 8 x 8 pixels in scikit-learn: no download, and minutes instead of an hour."""

    family = "digits"
    title = "scikit-learn's 1,797 digits of 8 x 8 pixels"
    side = 8
    knee = 10
    knee_source = "about the digits' classes; no count was published"
    default_training_seeds: ClassVar[int] = 2

    n_observed: int = field(default=64, init=False)
    samples: int = parameter(1_197, "training images", low=10)
    held_out: int = parameter(300, "validation images, and as many test images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Return a split of the 1,797 images into three parts by the seed."""
        from sklearn.datasets import load_digits

        loaded = load_digits()
        x, labels = (loaded.data / 16).astype(np.float32), loaded.target
        parts = self._all_drawn(len(labels), self.held_out, seed)
        train, validation, test = (Split(x[p], _labels(labels, p)) for p in parts)
        return self._dataset(train, validation, test)


def _labels(labels: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> Integers:
    return (labels if rows is None else labels[rows]).astype(np.int64)


def _order(scenario: Scenario, count: int, samples: int, held_out: int, what: str, seed: int) -> NDArray[np.intp]:
    """Return the rows in the order of the seed: the held-out rows first, then the training rows."""
    if samples + held_out > count:
        raise UsageError(
            f"{scenario.name} has {count:,} {what}, but samples={samples} and held-out images ({held_out:,}) "
            f"need {samples + held_out:,}"
        )
    return Streams(seed).numpy("validation split").permutation(count)[: held_out + samples]
