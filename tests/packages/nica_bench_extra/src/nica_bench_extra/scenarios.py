"""A scenario that an entry point's module holds."""

from dataclasses import dataclass

from nica_bench import Dataset, Scenario, Split, Streams, parameter


@dataclass(frozen=True)
class Uniform(Scenario):
    """Uniform latents whose width depends on the condition, mixed by a random linear map."""

    family = "uniform"
    equivalence = "component-wise affine"
    conditions: int = parameter(4, "number of conditions", low=1)
    samples: int = parameter(300, "training points", low=10)
    width: float = parameter(1.0, "of the widest", above=0)

    def generate(self, seed):
        streams = Streams(seed)
        mixing = streams.numpy("mixing").normal(size=(self.n_latents, self.n_observed))
        rng = streams.numpy("latents")

        def split(count):
            u = rng.permutation(count) % self.conditions
            z = self.width * rng.uniform(-1, 1, (count, self.n_latents)) * (1 + u[:, None]) / self.conditions
            return Split(z @ mixing, u, z)

        return Dataset(split(self.samples), split(200), split(200), self.conditions)
