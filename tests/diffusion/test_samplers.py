"""Samplers against diffusers' schedulers step by step, and against the known solution for normally distributed data."""

from typing import get_args

import pytest
import torch

from genlab.diffusion.paths import PathName, make_path
from genlab.diffusion.samplers import SamplerName, renoised, states, times

MEAN, DEVIATION = 0.4, 0.3


def exact(path):
    """x_0 and eps given x_t, expected for data ~ N(MEAN, DEVIATION^2)."""

    def denoise(x, t):
        place = path.at(t)
        gain = place.alpha * DEVIATION**2 / (place.alpha**2 * DEVIATION**2 + place.sigma**2)
        x0 = MEAN + gain * (x - place.alpha * MEAN)
        eps = (x - place.alpha * x0) / place.sigma if t > 0 else torch.zeros_like(x)
        return x0, eps

    return denoise


def solution(path, z):
    """Where the path's differential equation leads from x_1 = z: the quantile stays the same."""
    end = path.at(1.0)
    deviation = (end.alpha**2 * DEVIATION**2 + end.sigma**2) ** 0.5
    return MEAN + DEVIATION * (z - end.alpha * MEAN) / deviation


def last(sampler, path, z, steps, eta=0.0):
    *_, x = states(sampler, path, exact(path), z, times(steps), eta)
    return x


@pytest.mark.parametrize("sampler", [name for name in get_args(SamplerName) if name != "ddpm"])
@pytest.mark.parametrize("name", get_args(PathName))
def test_deterministic_samplers_solve_the_equation(name, sampler):
    """The error is small, the less the higher the order, and falls with the number of steps."""
    path, z = make_path(name), torch.linspace(-2, 2, 9, dtype=torch.float64)
    few, many = ((last(sampler, path, z, steps) - solution(path, z)).abs().max() for steps in (20, 100))
    assert many < (0.01 if sampler in ("heun", "dpm-solver++") else 0.05)
    assert many < few / 2.5


@pytest.mark.parametrize("sampler, eta", [("ddpm", 0.0), ("ddim", 0.5), ("ddim", 1.0), ("euler", 0.5), ("heun", 1.0)])
@pytest.mark.parametrize("name", get_args(PathName))
def test_samplers_with_noise_give_the_distribution(name, sampler, eta):
    torch.manual_seed(0)
    x = last(sampler, make_path(name), torch.randn(20_000, dtype=torch.float64), 400, eta)
    assert abs(x.mean() - MEAN) < 0.01
    assert abs(x.std() - DEVIATION) < 0.01


def test_ddpm_is_ddim_with_all_its_noise():
    z = torch.randn(5, dtype=torch.float64)
    torch.manual_seed(0)
    one = last("ddpm", make_path("cosine"), z, 20)
    torch.manual_seed(0)
    assert torch.equal(one, last("ddim", make_path("cosine"), z, 20, eta=1.0))


def test_with_all_the_noise_a_step_from_pure_noise_is_that_of_ddpm():
    path, z = make_path("rectified"), torch.randn(7, dtype=torch.float64)
    found = []
    for sampler, eta in [("heun", 1.0), ("ddpm", 0.0)]:
        torch.manual_seed(0)
        found.append(next(states(sampler, path, exact(path), z, [1.0, 0.6], eta)))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("name", get_args(PathName))
def test_backward_and_forward_is_the_identity(name, sampler):
    path, x = make_path(name), torch.linspace(-0.5, 1.2, 9, dtype=torch.float64)
    *_, z = states(sampler, path, exact(path), x, times(400, backward=True))
    torch.testing.assert_close(last(sampler, path, z, 400), x, atol=0.02, rtol=0)


def tensors():
    torch.manual_seed(0)
    return torch.randn(3, 2, 1, 4, 4)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_a_step_of_ddim_is_that_of_diffusers(eta):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(clip_sample=False, beta_schedule="linear")  # 1,000 steps, betas of Ho et al.
    scheduler.set_timesteps(50)
    x, eps, noise = tensors()
    t = int(scheduler.timesteps[10])  # n - 1 for our t = n / 1000
    expected = scheduler.step(eps, t, x, eta=eta, variance_noise=noise).prev_sample
    path = make_path("linear")
    here, there = (t + 1) / 1000, (t + 1 - 20) / 1000
    x0, eps = path.at(here).solve("noise", x, eps)
    still = renoised(path, x0, eps, here, there, 0.0)
    if eta:
        torch.manual_seed(3)
        found = renoised(path, x0, eps, here, there, eta)
        torch.manual_seed(3)
        ours = torch.randn_like(x)  # theirs has another noise: compare what is not noise, and the noise's size
        found = found + (noise - ours) * _noise_of(path, here, there, eta)
    else:
        found = still
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def _noise_of(path, t, s, eta):
    x0 = torch.zeros(1, dtype=torch.float64)
    torch.manual_seed(3)
    noise = torch.randn_like(x0)
    torch.manual_seed(3)
    return float(renoised(path, x0, x0, t, s, eta) / noise)


@pytest.mark.parametrize("sampler, scheduler", [("euler", "Euler"), ("heun", "Heun")])
def test_flow_matching_steps_are_those_of_diffusers(sampler, scheduler):
    diffusers = pytest.importorskip("diffusers")
    theirs = getattr(diffusers, f"FlowMatch{scheduler}DiscreteScheduler")(num_train_timesteps=1000)
    theirs.set_timesteps(8)
    grid = theirs.sigmas.unique().flip(0).tolist()
    x, weights, _ = tensors()

    def velocity(y, t):
        return (weights * y).tanh() + t

    def denoise(y, t):
        return make_path("rectified").at(t).solve("velocity", y, velocity(y, t))

    *_, found = states(sampler, make_path("rectified"), denoise, x, grid)
    expected = x
    for number, t in enumerate(theirs.timesteps):
        expected = theirs.step(velocity(expected, theirs.sigmas[number]), t, expected).prev_sample
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # in diffusers
def test_dpm_solver_steps_are_those_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.DPMSolverMultistepScheduler(
        beta_schedule="linear", final_sigmas_type="zero", lower_order_final=True
    )
    theirs.set_timesteps(10)
    path = make_path("linear")
    grid = [*((int(t) + 1) / 1000 for t in theirs.timesteps), 0.0]
    x, weights, _ = tensors()

    def noise(y):
        return (weights * y).tanh()

    def denoise(y, t):
        return path.at(t).solve("noise", y, noise(y))

    *_, found = states("dpm-solver++", path, denoise, x, grid)
    expected = x
    for t in theirs.timesteps:
        expected = theirs.step(noise(expected), t, expected).prev_sample
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)
