import pytest
import torch

from nica_bench.errors import UsageError
from nica_bench.flows import Flow, LearnedRotation, Rotation


def test_turns_each_replicate_by_its_own_matrix_and_back(generators):
    rotation = Rotation(generators(0, 1, 2), 5, torch.float64)
    x = torch.randn(3, 5, 7, dtype=torch.float64)
    y = rotation(x)
    for r in range(3):
        torch.testing.assert_close(y[r], rotation.matrix[r] @ x[r])
        torch.testing.assert_close(rotation.matrix[r] @ rotation.matrix[r].T, torch.eye(5, dtype=torch.float64))
    assert not torch.equal(rotation.matrix[0], rotation.matrix[1])
    torch.testing.assert_close(rotation.inverse(y), x)
    alone = Rotation(generators(1), 5, torch.float64)
    assert torch.equal(alone.matrix[0], rotation.matrix[1])


def test_bad_sizes(generators):
    with pytest.raises(UsageError, match="at least one generator"):
        Rotation([], 3)
    with pytest.raises(UsageError, match="at least 1 feature"):
        Rotation(generators(0), 0)


@pytest.mark.parametrize("between", ["rotation", "learned"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("zero_sum", ["mean", "last"])
def test_a_flow_on_its_way_to_incompressible_has_its_log_determinant_and_inverse(generators, share, zero_sum, between):
    flow = Flow(generators(3, 4), 6, blocks=3, zero_sum=zero_sum, identity=False, between=between, dtype=torch.float64)
    flow.make_incompressible(share)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    y, log_det = flow(x)
    for r in range(2):
        for b in range(5):

            def one(point, r=r):
                return flow(point.expand(2, -1)[..., None])[0][r, :, 0]

            jacobian = torch.autograd.functional.jacobian(one, x[r, :, b])
            assert log_det[r, b].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-12)
    assert flow.volume_preserving == (share == 1)
    assert (log_det.abs().max() > 1e-3) == (share < 1)
    torch.testing.assert_close(flow.inverse(y), x, rtol=0, atol=1e-10)


def test_a_learned_rotation_starts_as_a_permutation_and_stays_orthogonal(generators):
    rotation = LearnedRotation(generators(0, 1), 5, torch.float64)
    x = torch.randn(2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(rotation(x).sort(1)[0], x.sort(1)[0])
    torch.nn.init.normal_(rotation.skew)
    for r in range(2):
        q = rotation.matrix[r]
        torch.testing.assert_close(q @ q.T, torch.eye(5, dtype=torch.float64))
        torch.testing.assert_close(rotation(x)[r], q @ x[r])
    torch.testing.assert_close(rotation.inverse(rotation(x)), x)
    assert torch.autograd.gradcheck(lambda s: torch.func.functional_call(rotation, {"skew": s}, (x,)), rotation.skew)
    with pytest.raises(UsageError, match="at least one generator"):
        LearnedRotation([], 3)
    with pytest.raises(UsageError, match="at least 1 feature"):
        LearnedRotation(generators(0), 0)
