import numpy as np
import pytest
import torch
from scipy.stats import norm

from nica_bench.method import FitSession
from nica_bench.registry import make_method, make_scenario, method_types
from nica_bench.seeds import Streams
from nica_bench.training.data import Batch, Shape
from nica_bench.training.loop import train
from nica_bench.training.moments import class_moments, gaussian_losses, gaussian_losses_after
from nica_bench.training.noise import Noise
from nica_bench.training.schedules import Cosine, TwoPhase

TORCH = [name for name, m in method_types().items() if m.replicated]


EMPTY = Batch(torch.empty(0), torch.empty(0), Noise([], "cpu", "none"))


@pytest.fixture(scope="module")
def datasets():
    scenario = make_scenario("gauss-2of5[conditions=3,samples=600,held_out=200]")
    return [scenario.generate(seed) for seed in range(5)]


def fit(method, datasets, seeds):
    seen = [datasets[s].observations(method.side_information) for s in seeds]
    return method.fit_group(seen, [Streams.of_fit(s, 0) for s in seeds], FitSession())


@pytest.mark.parametrize("name", TORCH)
def test_training_lowers_the_held_out_loss_and_initialisations_differ(name, datasets):
    early = fit(make_method(f"{name}[steps=1,batch=100]"), datasets, [0, 1])
    late = fit(make_method(f"{name}[steps=60,batch=100]"), datasets, [0, 1])
    assert all(b.heldout_loss < a.heldout_loss - 0.1 for a, b in zip(early, late, strict=True))
    assert not np.array_equal(late[0].importance, late[1].importance)


@pytest.mark.parametrize("name", TORCH)
def test_a_step_runs_on_the_meta_device(name):
    method = make_method(name)
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    model = method.build(Shape(2, 6, 3, 2, "gamma"), generators, torch.zeros(2, 6, 4)).to("meta")
    noise = Noise([Streams(0), Streams(1)], "meta", "training")
    x, onehot = torch.empty(2, 6, 50, device="meta"), torch.empty(2, 3, 50, device="meta")
    method.loss(model, Batch(x, onehot, noise)).sum().backward()
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in model.parameters())


@pytest.mark.parametrize("name", ["gin-conv", "glow-conv"])
def test_a_step_on_images_runs_on_the_meta_device(name):
    method = make_method(name)
    shape = Shape(1, 64, 3, None, image_shape=(1, 8, 8))
    model = method.build(shape, [torch.Generator().manual_seed(0)], torch.empty(1, 64, 0)).to("meta")
    x, onehot = torch.empty(1, 64, 50, device="meta"), torch.empty(1, 3, 50, device="meta")
    method.loss(model, Batch(x, onehot, Noise([Streams(0)], "meta", "training"))).sum().backward()
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in model.parameters())


def test_schedules_of_images_are_fifteen_epochs_or_the_papers():
    cosine, paper = (make_method(f"gin-conv{options}").make_schedule(208, 1) for options in ("", "[schedule=paper]"))
    assert (cosine.steps, cosine.lr(0)) == (3120, 1e-3)
    assert make_method("gin-conv").make_schedule(4, 1).steps == 400
    assert paper.steps == 95 * 208
    assert [paper.lr(step) for step in (0, 45 * 208 - 1, 45 * 208, 95 * 208 - 1)] == pytest.approx(
        [3e-4] * 2 + [3e-5] * 2
    )


def test_class_moments_agree_with_numpy_and_leave_small_classes_out():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(2, 3, 50, generator=generator, dtype=torch.float64)
    u = torch.randint(0, 3, (2, 50), generator=generator)
    u[u == 2] = 1
    u[0, 0] = 2
    onehot = torch.nn.functional.one_hot(u, 4).mT.double()
    counts, means, variances = class_moments(w, onehot)
    for r in range(2):
        loss = 0.0
        for k in range(4):
            members = w[r][:, u[r] == k].numpy()
            assert counts[r, 0, k] == members.shape[1]
            if members.shape[1]:
                np.testing.assert_allclose(means[r, :, k], members.mean(1), rtol=1e-12)
            if members.shape[1] >= 2:
                np.testing.assert_allclose(variances[r, :, k], members.var(1), rtol=1e-10)
                loss += members.shape[1] / 50 * 0.5 * np.log(members.var(1)).sum()
        loss += 0.5 * 3 * (1 + np.log(2 * np.pi))
        assert gaussian_losses(w, onehot)[r].sum() == pytest.approx(loss, rel=1e-12)


def test_codes_under_the_moments_of_others_are_worth_what_scipy_says():
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(2, 3, N, generator=generator, dtype=torch.float64) for N in (40, 30))
    train_u, u = torch.arange(40) % 2, torch.arange(30) % 2
    train_u[0], u[0] = 2, 2  # a class of which one training code is known
    train_onehot, onehot = (torch.nn.functional.one_hot(v, 4).mT.double().expand(2, -1, -1) for v in (train_u, u))
    found = gaussian_losses_after(test, onehot, train, train_onehot)
    for r in range(2):
        known = [train[r][:, train_u == k].numpy() for k in range(3)]
        sds = [members.std(1) if members.shape[1] > 1 else 1.0 for members in known]
        each = [norm.logpdf(test[r][:, i], known[k].mean(1), sds[k]) for i, k in enumerate(u)]
        np.testing.assert_allclose(found[r], -np.mean(each, axis=0), rtol=1e-10)


def test_a_diverging_replicate_is_frozen_and_the_others_go_on():
    model = torch.nn.Module()
    model.p = torch.nn.Parameter(torch.ones(3, 1))

    def loss(batch):
        bad = torch.tensor([1.0, float("nan"), 1.0])
        return (model.p[:, 0] - 3) ** 2 * bad

    def endless():
        while True:
            yield EMPTY

    outcome = train(model, loss, endless(), Cosine(0.1, 200), validation=lambda: None, report=lambda p: None)
    assert outcome.diverged == [None, 0, None]
    assert model.p.flatten().tolist() == pytest.approx([3, 0, 3], abs=0.01)


def test_a_frozen_replicate_stays_frozen_though_its_loss_is_finite_again():
    model = torch.nn.Module()
    model.p = torch.nn.Parameter(torch.ones(2, 1))
    steps = iter(range(200))

    def loss(batch):
        bump = torch.tensor([0.0, float("inf") if next(steps) == 0 else 0.0])
        return (model.p[:, 0] - 3) ** 2 + bump

    def endless():
        while True:
            yield EMPTY

    outcome = train(model, loss, endless(), Cosine(0.1, 200), validation=lambda: None, report=lambda p: None)
    assert outcome.diverged == [None, 0]
    assert model.p[1].item() == 0
    assert model.p[0].item() == pytest.approx(3, abs=0.01)


def test_two_phases_end_each_replicate_by_itself():
    schedule = TwoPhase(1e-2, epoch=5, replicates=2)
    for epoch in range(60):
        schedule.observe(torch.tensor([1.0, max(0.0, 30.0 - epoch)]))
        if epoch == 10:
            assert schedule.scale.tolist() == pytest.approx([0.1, 1.0])
        if epoch == 25:
            assert schedule.scale.tolist() == [0.0, 1.0]
    assert schedule.finished()


def test_with_the_papers_schedule_a_replicate_takes_its_own_steps_in_every_group(datasets):
    method = make_method("gin[schedule=paper,batch=300,blocks=1]")
    alone = [fit(method, datasets, [seed])[0] for seed in (0, 1)]
    together = fit(method, datasets, [0, 1])
    assert len({f.training["steps"] for f in alone}) == 2  # else the test says nothing
    for a, b in zip(alone, together, strict=True):
        assert a.training["steps"] == b.training["steps"] == len(a.loss_curve)
        np.testing.assert_array_equal(a.loss_curve, b.loss_curve)
        np.testing.assert_array_equal(a.importance, b.importance)
