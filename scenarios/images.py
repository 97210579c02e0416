"""`emnist`, `mnist`, `emnist-subset`, `digits`: handwritten digits, whose latents nobody knows (paper, section 5)."""

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
    """Real images with their labels as conditions. Their latents are unknown, and so is the number of them.

    The test images are fixed where they are published; validation is split off the rest, anew for each seed.
    """

    version: ClassVar[str] = "2"
    sized: ClassVar[bool] = False
    equivalence: ClassVar[str] = "component-wise affine"
    default_seeds: ClassVar[str] = "0"
    title: ClassVar[str]
    """What the images are; it stands in the record."""
    side: ClassVar[int] = 28
    """Height and width."""
    knee: ClassVar[int]
    """Number of latents that a method is told which has to be told one."""
    knee_source: ClassVar[str]
    """Where that number is from."""
    paper_knee: ClassVar[int | None] = None
    """Number of latents that the paper reports of this data set."""

    n_latents: None = field(default=None, init=False)
    n_observed: int = field(default=784, init=False)
    conditions: int = field(default=10, init=False)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """One channel."""
        return 1, self.side, self.side

    @property
    def stand_in_latents(self) -> int:
        """The knee that is known of these images, see `knee_source`."""
        return self.knee

    def warnings(self) -> list[str]:
        """What the images are, and what that means for what is measured."""
        return [
            f"these are {self.title}: nobody knows their latents, so what compares codes with them is not applicable; "
            f"a method that is told their number is told {self.knee} ({self.knee_source})"
        ]

    def unavailable(self) -> str | None:
        """Which files are missing, and how to get them."""
        return missing_message(COLLECTIONS[self.family], data_folder()) if self.family in COLLECTIONS else None

    def _published(self, seed: int, held_out: int) -> Dataset:
        """Validation images are drawn from the published training images by the seed; the test images are fixed."""
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
        """Rows for training, validation and test, all drawn from the images by the seed."""
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
    """MNIST: 60,000 and 10,000 handwritten digits, 28 x 28. It is not EMNIST, and its knee is another."""

    family = "mnist"
    title = "MNIST"
    knee = 14
    knee_source = "a count by eye with the paper's network, 13 to 15"

    samples: int = parameter(50_000, "training images", low=10)
    held_out: int = parameter(10_000, "validation images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Split validation images off by the seed."""
        return self._published(seed, self.held_out)


@dataclass(frozen=True)
class EMNIST(ImageScenario):
    """EMNIST Digits, the paper's: 240,000 and 40,000 handwritten digits, 28 x 28, stored transposed and set upright."""

    family = "emnist"
    title = "EMNIST Digits"
    knee = 22
    knee_source = "the paper's count on EMNIST"
    paper_knee = 22

    samples: int = parameter(230_000, "training images", low=10)
    held_out: int = parameter(10_000, "validation images", low=10)

    def generate(self, seed: int) -> Dataset:
        """Split validation images off by the seed."""
        return self._published(seed, self.held_out)


@dataclass(frozen=True)
class EMNISTSubset(ImageScenario):
    """600 of EMNIST's test images: a trial of the pipeline on real EMNIST files, not the paper's experiment."""

    family = "emnist-subset"
    title = "a subset of 600 EMNIST Digits test images, a trial of the pipeline and not the paper's experiment"
    knee = 22
    knee_source = "the paper's count on the whole of EMNIST"

    samples: int = parameter(400, "training images", low=10)
    held_out: int = parameter(100, "validation images, and as many test images", low=10)

    def generate(self, seed: int) -> Dataset:
        """All three parts are drawn from the 600 images by the seed."""
        _, images = load(COLLECTIONS[self.family], data_folder())
        parts = self._all_drawn(len(images.labels), self.held_out, seed)
        train, validation, test = (Split(as_rows(images, p), _labels(images.labels, p)) for p in parts)
        return self._dataset(train, validation, test, verified=images.verified)


@dataclass(frozen=True)
class Digits(ImageScenario):
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships: no download, minutes instead of an hour."""

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
        """All three parts are drawn from the 1,797 images by the seed."""
        from sklearn.datasets import load_digits

        loaded = load_digits()
        x, labels = (loaded.data / 16).astype(np.float32), loaded.target
        parts = self._all_drawn(len(labels), self.held_out, seed)
        train, validation, test = (Split(x[p], _labels(labels, p)) for p in parts)
        return self._dataset(train, validation, test)


def _labels(labels: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> Integers:
    return (labels if rows is None else labels[rows]).astype(np.int64)


def _order(scenario: Scenario, count: int, samples: int, held_out: int, what: str, seed: int) -> NDArray[np.intp]:
    """Rows in the order of the seed: those held out first, then those to train on."""
    if samples + held_out > count:
        raise UsageError(
            f"{scenario.name} has {count:,} {what}, but samples={samples} and what is held out ({held_out:,}) "
            f"ask for {samples + held_out:,}"
        )
    return Streams(seed).numpy("validation split").permutation(count)[: held_out + samples]
