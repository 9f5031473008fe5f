"""Models of one's own target: learned, calibrated, saved and read back; and their estimates taken apart."""

from dataclasses import replace

import numpy as np
import pytest
from lightning_fabric import Fabric

from spectm.data.patches import Patches
from spectm.data.spectra_file import Spectra, Target
from spectm.errors import BandNotFoundError, CheckpointError, TrainingError
from spectm.evaluation.attributed import attribute
from spectm.model.encoder import EncoderConfig
from spectm.training.checkpoint import read_checkpoint
from spectm.training.loop import LoopConfig
from spectm.training.pretrain import pretrain
from spectm.training.settings import IndicesConfig, PretrainConfig, Settings, WindowsConfig
from spectm.training.spectral_model import save_spectral_model, spectral_model_of, train_spectral_model

NM = np.arange(600.0, 811.0, 10.0)
SETTINGS = Settings(
    windows=WindowsConfig(set="vegetation-red-edge"),
    indices=IndicesConfig(built_in=False, own=("edge = (r750 - r705) / (r750 + r705)",)),
    encoder=EncoderConfig(width=16, depth=1, heads=2),
    pretraining=PretrainConfig(loop=LoopConfig(steps=3, batch_size=16)),
)
LIMIT = 5.0


def make_spectra(n: int = 60, groups: int = 10) -> Spectra:
    """Spectra whose edge moves with the logarithm of the target."""
    rng = np.random.default_rng(0)
    log10 = rng.uniform(0.3, 2.0, n)
    middle = 690 + 20 * log10[:, None]
    Rrs = 0.02 + 0.1 / (1 + np.exp(-(NM - middle) / 8)) + rng.normal(0, 5e-4, (n, NM.size))
    Rrs[3, 4] = np.nan
    value = 10**log10
    value[5] = np.nan
    group = np.array([f"g{i % groups}" for i in range(n)])
    patches = Patches(
        Rrs=Rrs.astype(np.float32)[:, :, None, None],
        wavelength=NM,
        time=np.datetime64("1970-01-01", "ns") + (np.arange(n) % groups) * np.timedelta64(1, "D"),
        station=group,
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        source="by hand",
    )
    return Spectra(
        patches=patches,
        sample=np.array([f"s{i}" for i in range(n)]),
        group=group,
        value=np.where(value < LIMIT, LIMIT, value),
        below=value < LIMIT,
        target=Target(name="thing", unit="u", detection_limit=LIMIT, thresholds=(20.0,)),
        has_time=False,
    )


@pytest.fixture(scope="module")
def spectra() -> Spectra:
    return make_spectra()


@pytest.fixture(scope="module")
def model(spectra):
    fabric = Fabric(accelerator="cpu", devices=1)
    models = [pretrain(fabric, [spectra.patches], SETTINGS, seed=seed).model for seed in (0, 1)]
    return train_spectral_model(models, SETTINGS, spectra, {"simulated": False})


@pytest.mark.slow
def test_it_learns_what_the_edge_says(model, spectra):
    estimate, flags = model.predict(spectra.patches)
    assert np.isnan(estimate.mean[3])  # a gap
    seen = np.isfinite(estimate.mean)
    assert seen.sum() == 59
    error = estimate.mean[seen] - np.log10(np.maximum(spectra.value[seen], LIMIT))
    assert np.nanstd(error) < 0.12
    assert estimate.mean[seen].min() >= np.log10(LIMIT)
    low, high = estimate.interval(0.9)
    rows = spectra.labelled
    assert ((low <= spectra.value) & (spectra.value <= high))[rows].mean() > 0.85
    assert flags.flagged[seen].mean() < 0.2
    assert spectra.sample[rows].tolist() == sorted(model.meta["samples"], key=lambda name: int(name[1:]))


@pytest.mark.slow
def test_indices_are_those_of_the_settings_and_every_band_counts(model):
    for blend in model.blends:
        columns = {member.view: member.low_.size for member in blend.members_}
        assert columns["indices"] == 1
        assert columns["bands"] == NM.size
        assert not any(member.departs for member in blend.members_)


@pytest.mark.slow
def test_strange_spectra_are_flagged(model, spectra):
    upside_down = spectra.patches.select(np.array([0, 1]))
    upside_down.Rrs[:] = upside_down.Rrs[:, ::-1]
    _, flags = model.predict(upside_down)
    assert flags.flagged.all()


@pytest.mark.slow
def test_round_trip(model, spectra, tmp_path):
    save_spectral_model(model, tmp_path / "model")
    again = spectral_model_of(read_checkpoint(tmp_path / "model", kind="spectral"))
    assert again.target == model.target
    for one, other in zip(again.predict(spectra.patches), model.predict(spectra.patches), strict=True):
        for name in ("mean", "spread", "flagged"):
            if hasattr(one, name):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert again.calibration.radius(0.9) == model.calibration.radius(0.9)
    assert again.settings == model.settings


@pytest.mark.slow
def test_attributions_add_up(model, spectra):
    one = spectra.patches.select(np.array([7]))
    found = attribute(model, one)
    assert found.complete().all()
    estimate, _ = model.predict(one)
    reference = np.mean([member.reference[0] for member in found.members])
    assert reference + found.bands[0].sum() == pytest.approx(estimate.mean[0], abs=0.02)


@pytest.mark.slow
def test_an_index_that_is_undefined_in_some_spectra_is_filled(spectra):
    low = float(np.sort(spectra.patches.Rrs[:, NM == 750, 0, 0].ravel())[4])
    own = IndicesConfig(built_in=False, own=(f"a = log(r750 - {low:.6f})",))
    model = train_spectral_model([], replace(SETTINGS, indices=own), spectra, {})
    estimate, _ = model.predict(spectra.patches)
    assert np.isfinite(estimate.mean).sum() == 59  # all but the one with a gap


def test_own_indices_that_the_bands_lack_are_refused(spectra):
    own = IndicesConfig(built_in=False, own=("b = r900 / r750",))
    fabric = Fabric(accelerator="cpu", devices=1)
    with pytest.raises(BandNotFoundError, match=r"indices: b: no band within 5 nm of 900 nm"):
        pretrain(fabric, [spectra.patches], replace(SETTINGS, indices=own), seed=0)


@pytest.mark.slow
def test_other_bands_and_too_few_groups_are_refused(model, spectra):
    patches = spectra.patches
    fewer = Patches(
        Rrs=patches.Rrs[:, 1:],
        wavelength=NM[1:],
        time=patches.time,
        station=patches.station,
        latitude=patches.latitude,
        longitude=patches.longitude,
        source="fewer",
    )
    with pytest.raises(CheckpointError, match="other bands"):
        model.predict(fewer)
    with pytest.raises(TrainingError, match="5 groups or more, found 12 of 2"):
        train_spectral_model([], SETTINGS, make_spectra(n=14, groups=2), {})
