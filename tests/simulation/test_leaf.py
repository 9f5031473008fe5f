"""Simulated leaves: limits of the plate model, and files that say what they are."""

import numpy as np
import pytest

from spectm.data.spectra_table import described_spectra
from spectm.errors import SimulationError
from spectm.simulation import leaf
from spectm.simulation.leaf import Leaves, draw_leaves, leaf_reflectance
from spectm.simulation.leaf_files import write_leaves

NM = np.arange(400.0, 2401.0, 10.0)


def leaves(n: int = 1, **what: float) -> Leaves:
    usual = {"plates": 1.5, "chlorophyll": 35.0, "carotenoids": 8.0, "water": 0.012, "dry_matter": 0.006}
    return Leaves(**{name: np.full(n, value) for name, value in (usual | what).items()})


def test_half_of_unpolarised_light_at_normal_incidence():
    # (1 - n)^2 / (1 + n)^2 is what a smooth surface sends back at a right angle
    crossing = leaf._entering(np.array([1.5]), 0.5)
    assert crossing[0] == pytest.approx(1 - 0.04, abs=1e-4)
    # diffuse light into n = 1.5: 0.9084 (Stern 1964, table)
    assert leaf._entering(np.array([1.5]), 90.0)[0] == pytest.approx(0.908, abs=0.002)


def test_diffuse_light_through_an_absorbing_plate():
    # 2 E3(k), by numerical integration of exp(-k / mu) over the hemisphere
    mu = (np.arange(20000) + 0.5) / 20000
    for k in (0.1, 1.0, 3.0):
        expected = 2 * np.mean(mu * np.exp(-k / mu))
        assert leaf._passed(np.array([k]))[0] == pytest.approx(expected, rel=1e-3)


def test_two_plates_by_adding_them_up():
    r, t = np.array([0.2]), np.array([0.5])
    # of n plates, one more behind: r + t^2 R / (1 - r R)
    one, two = r, r + t**2 * r / (1 - r * r)
    three = r + t**2 * two / (1 - r * two)
    for plates, expected in ((1.0, one), (2.0, two), (3.0, three)):
        assert leaf._stokes(r, t, np.array([plates]))[0] == pytest.approx(expected[0])


def test_a_leaf_looks_like_one():
    (spectrum,) = leaf_reflectance(leaves(), NM)
    at = {nm: float(spectrum[nm == NM][0]) for nm in (450, 550, 670, 700, 800, 1450, 1940)}
    assert 0.08 < at[550] < 0.2
    assert max(at[450], at[670]) < 0.07
    assert 0.35 < at[800] < 0.55
    assert at[1940] < at[1450] < at[800]
    assert ((spectrum > 0) & (spectrum < 1)).all()


def test_what_each_constituent_does():
    def change(name: str, much: float) -> np.ndarray:
        return leaf_reflectance(leaves(**{name: much}), NM)[0] - leaf_reflectance(leaves(), NM)[0]

    more = change("chlorophyll", 60.0)
    assert NM[more.argmin()] in range(540, 730)  # green and red edge, where it is not dark already
    assert np.abs(more[NM > 900]).max() < 1e-6
    water = change("water", 0.02)
    assert (water[(NM > 1400) & (NM < 1500)] < 0).all()
    assert np.abs(water[NM < 700]).max() < 1e-3
    assert (change("plates", 2.5)[(NM > 760) & (NM < 1300)] > 0).all()


def test_sites_differ():
    drawn, site = draw_leaves(3000, np.random.default_rng(0), sites=10)
    assert np.bincount(site).tolist() == [300] * 10
    between = np.std([np.log(drawn.water[site == one]).mean() for one in range(10)])
    assert 0.15 < between < 0.5
    assert drawn.chlorophyll.min() >= 3
    assert 15 < np.median(drawn.chlorophyll) < 60


def test_files_are_read_as_described(tmp_path):
    first = write_leaves(tmp_path / "a", n=30, labelled=12, sites=6, seed=1)
    again = write_leaves(tmp_path / "b", n=30, labelled=12, sites=6, seed=1)
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in again]
    spectra, problems = described_spectra(tmp_path / "a" / "leaves.toml")
    assert problems.empty
    assert spectra.patches.simulated
    assert spectra.patches.n_samples == 30
    assert spectra.labelled.size == 12
    assert np.unique(spectra.group).size == 6
    assert spectra.target.unit == "ug cm-2"
    assert spectra.patches.Rrs.min() > 0
    assert spectra.patches.Rrs.max() < 1 / np.pi


def test_too_few_leaves_are_refused(tmp_path):
    with pytest.raises(SimulationError, match="as many leaves as labelled ones"):
        write_leaves(tmp_path, n=5, labelled=6, sites=2, seed=0)
