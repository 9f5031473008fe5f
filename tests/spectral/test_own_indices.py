"""Indices of one's own: expressions are read and never executed; functions are registered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectm.errors import BandNotFoundError, ConfigError
from spectm.spectral import own_indices
from spectm.spectral.expressions import parse_expression
from spectm.spectral.indices import INDICES, supported_indices
from spectm.spectral.own_indices import index_set, register_index, registered_indices

NM = np.array([550.0, 705.0, 750.0])
R = np.array([[0.05, 0.1, 0.3], [0.02, 0.4, 0.2]])


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(own_indices, "_REGISTERED", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(r750 - r705) / (r750 + r705)", [0.5, -1 / 3]),
        ("r705", [0.1, 0.4]),
        ("-r705 * 2 + 1", [0.8, 0.2]),
        ("r705 ** 2", [0.01, 0.16]),
        ("r750 ** -1 - r705 ** -1", [1 / 0.3 - 10, 2.5]),
        ("2 - r705 - r750", [1.6, 1.4]),  # from left to right
        ("log10(r705) + sqrt(r705) + abs(0 - r705) + exp(0 * r705)", [-1 + 0.1**0.5 + 1.1, None]),
        ("r704.2", [0.1, 0.4]),  # the nearest band
        ("log(r550 - 0.03)", [np.log(0.02), np.nan]),
        ("r550 / (r705 - 0.1)", [np.nan, 0.02 / 0.3]),  # a denominator of nothing
        ("sqrt(r705 - r750)", [np.nan, 0.2**0.5]),
        ("(r705 - r750) ** 0.5", [np.nan, 0.2**0.5]),
        ("(r705 - r750) ** 2", [0.04, 0.04]),
    ],
)
def test_values_by_hand(text, expected):
    found = parse_expression(text)(R, NM)
    for value, wanted in zip(found, expected, strict=True):
        if wanted is not None:
            assert value == pytest.approx(wanted, nan_ok=True)


def test_missing_bands_and_values():
    ndre = index_set(["ndre = (r750 - r705) / (r750 + r705)"], built_in=False)["ndre"]
    with pytest.raises(BandNotFoundError, match=r"ndre: no band within 5 nm of 750 nm"):
        ndre.function(R[:, :2], NM[:2])
    assert np.isnan(ndre.function(np.array([np.nan, 0.1, np.nan]), NM))
    assert np.isfinite(ndre.function(np.array([np.nan, 0.1, 0.3]), NM))
    assert ndre.needs_nm == (705.0, 750.0)
    assert "no band" in str(supported_indices(NM[:2], {"ndre": ndre})["ndre"])
    assert supported_indices(NM, {"ndre": ndre}) == {"ndre": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true') + r705", 'found "__import__'),
        ("r705.real", r"can't read|found"),
        ("(lambda: r705)()", "found"),
        ("open(r705)", "found 'open"),
        ("[r705][0]", "found"),
        ("r705 if r750 else 1", "found"),
        ("r705 ** r750", "an exponent is a number"),
        ("r705 ** 9 ** 9", "an exponent is a number"),
        ("True * r705", "found 'True'"),
        ("'a' * r705", "found"),
        ("sqrt(r705, 2)", "found"),
        ("log10(x=r705)", "found"),
        ("(r705", "parentheses closed"),
        ("0.5", "found none"),
        ("band_705 + r705", "band_"),
        ("r705 + " * 100 + "1", "at most 500"),
        ("R705 + r705", "found 'R705'"),
        ("r705; r750", "can't read"),
        ("r705 := 2", "can't read"),
        ("f'{r705}'", "found"),
        ("r705 * " + "9" * 400, "found '9"),
        ("r705 ** " + "9" * 400, "an exponent is a number"),
        ("\uff42\uff41\uff4e\uff44_705 + r665", "band_"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_expression(text)


@pytest.mark.slow
@given(st.text(alphabet="r7051+-*/() .sqrtlog_[]'=\\\n\0", max_size=60))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        found = parse_expression(text)(R, NM)
    except (ConfigError, BandNotFoundError):
        return
    assert np.shape(found) in {(2,), ()}


def test_registering():
    def double(Rrs, wavelength):
        return 2 * Rrs[..., 0]

    register_index("double", double, units="sr^-1", needs_nm=[550], reference="by hand")
    assert registered_indices() == ("double",)
    chosen = index_set(["double", "half = r705 / 2"])
    assert list(chosen) == [*INDICES, "double", "half"]
    assert chosen["double"].function(R, NM) == pytest.approx([0.1, 0.04])
    with pytest.raises(BandNotFoundError, match="double: no band"):
        chosen["double"].function(R[:, 1:], NM[1:])
    with pytest.raises(ConfigError, match="registered already"):
        register_index("double", double, units="1", needs_nm=[550], reference="")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (["unknown"], "wanted 'name = expression'"),
        (["a = r705", "a = r750"], "there twice"),
        (["ndci = r705"], "ships with the package"),
        (["2a = r705"], "letters, digits"),
        (["= r705"], "letters, digits"),
    ],
)
def test_sets_that_are_refused(own, said):
    with pytest.raises(ConfigError, match=said):
        index_set(own)


def test_nothing_leaks_into_the_indices_that_ship():
    before = list(INDICES)
    index_set(["mine = r705"])
    assert list(INDICES) == before
