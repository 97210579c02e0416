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

The parameters of each latent and condition are drawn from uniform distributions on these ranges, unless a scenario
says otherwise. They are chosen so that the conditions lie a few of their own standard deviations apart, as the normal's
do, and so that z has no tail which the mixing would blow up (largest |z| of 10 to 15, the normal's 9).

| family | parameters and their ranges | mean of z | sd of z in a condition |
|---|---|---|---|
| normal | mean -5 to 5, variance .5 to 3 | -5 to 5 | .7 to 1.7 |
| lognormal | of log z: mean -1 to 1.2, variance .04 to .2 | .4 to 3.7 | .08 to 1.7 |
| inverse-gaussian | mean 1 to 5, shape 20 to 60 | 1 to 5 | .13 to 2.5 |
| gamma | shape 3 to 12, scale .2 to .6 | .6 to 7.2 | .35 to 2.1 |
| inverse-gamma | shape 6 to 15, scale 6 to 25 | .4 to 5 | .12 to 2.5 |
| beta | alpha 1 to 10, beta 1 to 10 | .09 to .91 | .08 to .29 |
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
