"""What is read from embeddings: of spectra that the encoder and the regression never saw."""

import numpy as np
import pytest

from spectm.data.splits import excluded_by
from spectm.evaluation.run import EvaluationSettings
from tests.study import Study
from tools import linear_reading
from tools.linear_reading import explained, out_of_date, table


def test_what_is_explained_is_the_mean_over_seeds() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0])
    read = np.array([values, np.full(4, 1.5)])  # one seed reads all of it, the other nothing but the mean
    assert explained(read, values) == 0.5
    assert table({"some": {"flh": read}}, {"flh": values}).splitlines()[-1] == "| `flh` | 0.500 |"


@pytest.mark.slow
def test_brightness_is_read_from_spectra_left_out(
    study: Study, tiny_settings: EvaluationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = study.patches.select(np.flatnonzero(study.patches.valid.any(axis=(1, 2))))
    asked, fitted = [], linear_reading.pretrain

    def watched(fabric, sources, settings, *, seed):
        asked.append(sources)
        return fitted(fabric, sources, settings, seed=seed)

    monkeypatch.setattr(linear_reading, "pretrain", watched)
    brightness = patches.mean_spectrum().mean(axis=1)
    read = out_of_date(patches, [study.patches], {"brightness": brightness}, 1, tiny_settings)
    assert set(read) == {"pretrained", "random first weights"}
    for each in read.values():
        assert explained(each["brightness"], brightness) > 0.9
    assert len(asked) == 5  # sets of dates
    seen = [np.concatenate([source.time for source in sources]) for sources in asked]
    for time in np.unique(patches.time):
        blind = [not excluded_by(times, np.array([time])).any() for times in seen]
        assert sum(blind) >= 1
