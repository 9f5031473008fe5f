"""What PROTOCOL.md says that a pipeline must reproduce before it is trusted."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from spectm.data.labels import read_labels
from spectm.data.patches import read_patches
from spectm.data.splits import leave_date_out
from spectm.evaluation.baselines import make_baseline
from spectm.evaluation.scores import r2
from spectm.evaluation.task import build_task
from spectm.spectral.indices import INDICES


@pytest.fixture(scope="module")
def tasks(lake_erie):
    patches, labels = read_patches(lake_erie / "pace_station_patches.nc"), read_labels(lake_erie / "glerl")
    return {name: build_task(name, patches, labels) for name in ("current", "ahead")}


def leave_date_out_r2(task, name):
    mean = np.empty_like(task.y)
    for fold in leave_date_out(task.rows):
        estimator = make_baseline(name, "none", 0).fit(task, fold.train)
        mean[fold.test], _ = estimator.predict(task, fold.test)
    return r2(task.y, np.maximum(mean, -1), np.ones(task.y.size))


@pytest.mark.parametrize(
    ("name", "n", "n_below", "n_dates"), [("current", 123, 56, 19), ("ahead", 79, 15, 13)]
)
def test_rows_are_those_of_the_protocol(tasks, name, n, n_below, n_dates):
    task = tasks[name]
    assert (task.y.size, task.below.sum(), np.unique(task.dates).size) == (n, n_below, n_dates)
    assert np.isfinite(task.spectra).all()
    assert (task.y[task.below] == -1).all()


@pytest.mark.parametrize(
    ("name", "climatology", "persistence", "n_last"),
    [("current", 0.64, 0.39, 115), ("ahead", 0.48, -0.24, 79)],
)
def test_references_that_need_no_spectrum(tasks, name, climatology, persistence, n_last):
    task, once = tasks[name], np.ones(tasks[name].y.size)
    assert r2(task.y, task.climatology, once) == pytest.approx(climatology, abs=0.01)
    assert r2(task.y, task.persistence, once) == pytest.approx(persistence, abs=0.01)
    assert task.last["has_last"].sum() == n_last


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task_name", "model", "expected"),
    [
        ("current", "ridge", 0.69),
        ("current", "pls", 0.68),
        ("current", "svr", 0.53),
        ("current", "extra-trees", 0.24),
        ("ahead", "ridge", -0.09),
        ("ahead", "pls", 0.05),
        ("ahead", "svr", -0.19),
        ("ahead", "extra-trees", -0.27),
    ],
)
def test_leave_date_out_scores_are_those_of_the_protocol(tasks, task_name, model, expected):
    assert leave_date_out_r2(tasks[task_name], model) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("index", "phycocyanin", "chlorophyll", "microcystin"),
    [
        ("cyanobacteria_index", 0.62, 0.74, 0.77),
        ("ss_665", 0.50, 0.41, 0.75),
        ("ndci", 0.48, 0.69, 0.57),
        ("pci", 0.36, 0.07, 0.59),
        ("pc_ratio_650_625", 0.33, 0.51, 0.45),
        ("pc_ratio", 0.29, 0.55, 0.36),
    ],
)
def test_indices_correlate_as_the_protocol_says(tasks, index, phycocyanin, chlorophyll, microcystin):
    task = tasks["current"]
    values = INDICES[index].function(task.spectra, task.wavelength)
    found = []
    for quantity in (task.rows["phycocyanin"].to_numpy(), task.rows["chlorophyll"].to_numpy(), task.y):
        known = np.isfinite(values) & np.isfinite(quantity)
        found.append(spearmanr(values[known], quantity[known]).statistic)
    assert found == pytest.approx([phycocyanin, chlorophyll, microcystin], abs=0.03)
