"""Conditional latent distributions: each two-parameter exponential family of the paper's Table 1, described once.

A family is factorial given the condition u. In its *natural coordinate* v (z, log z or logit z) it is spread over all
of R, and a volume-preserving map of v can have exactly its density; so that is where the theory of GIN holds for it.
For estimates from data that are mixed in v, Table 1 says what line the true v is of the estimated v.

| family | density of z, up to a constant | support | v | T(z) (k = 2) | v on estimated v |
|---|---|---|---|---|---|
| normal | exp(-(z - mean)^2 / 2 sd^2) | R | z | z, z^2 | slope and intercept free |
| lognormal | exp(-(log z - mean)^2 / 2 sd^2) / z | z > 0 | log z | log z, (log z)^2 | slope and intercept free |
| inverse-gaussian | z^-1.5 exp(-shape (z - mean)^2 / (2 mean^2 z)) | z > 0 | log z | z, 1/z | slope 1 |
| gamma | z^(shape - 1) exp(-z / scale) | z > 0 | log z | log z, z | slope 1 |
| inverse-gamma | z^(-shape - 1) exp(-scale / z) | z > 0 | log z | log z, 1/z | slope 1 |
| beta | z^(alpha - 1) (1 - z)^(beta - 1) | 0 < z < 1 | logit z | log z, log(1 - z) | slope 1 or -1, intercept 0 |

The parameters of each latent and condition are drawn uniformly from ranges that a scenario gives: its defaults are the
only ones (`nica-bench info gamma`).
"""

from nica_bench.latents.beta import ConditionalBeta
from nica_bench.latents.coordinate import IDENTITY, LOG, LOGIT, Coordinate
from nica_bench.latents.family import ConditionalFamily, Promise
from nica_bench.latents.gamma import ConditionalGamma, ConditionalInverseGamma
from nica_bench.latents.inverse_gaussian import ConditionalInverseGaussian
from nica_bench.latents.normal import ConditionalLognormal, ConditionalNormal

__all__ = [
    "FAMILIES",
    "IDENTITY",
    "LOG",
    "LOGIT",
    "ConditionalBeta",
    "ConditionalFamily",
    "ConditionalGamma",
    "ConditionalInverseGamma",
    "ConditionalInverseGaussian",
    "ConditionalLognormal",
    "ConditionalNormal",
    "Coordinate",
    "Promise",
]

FAMILIES: dict[str, type[ConditionalFamily]] = {
    family.name: family
    for family in (
        ConditionalNormal,
        ConditionalLognormal,
        ConditionalInverseGaussian,
        ConditionalGamma,
        ConditionalInverseGamma,
        ConditionalBeta,
    )
}
"""The families by name: what `Dataset.family` and a record's truth say."""
