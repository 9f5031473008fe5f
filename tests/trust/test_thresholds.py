import pytest

from spectm.errors import ThresholdError
from spectm.trust.thresholds import CAVEAT, MEDIA, profile, profile_names, read_profile

# Values of the documents that each profile names.
PUBLISHED = {
    "who-2020": {("drinking", 1.0), ("drinking", 12.0), ("recreational", 24.0)},
    "epa-2015": {("drinking", 0.3), ("drinking", 1.6)},
    "epa-2019": {("recreational", 8.0)},
    "ohio-2021": {("recreational", 8.0)},
    "ohio-drinking": {("drinking", 0.3), ("drinking", 1.6), ("drinking", 20.0)},
}

OWN = """
[my-lake-2026]
title = "Alarm of the waterworks"
source = "Board of the waterworks, minutes of March"
date = "2026-03-01"
unit = "ug/L"

[[my-lake-2026.thresholds]]
name = "call the plant"
value = 5
medium = "raw"
statement = "The plant is called."

[[my-lake-2026.thresholds]]
name = "look again"
value = 0.5
medium = "raw"
statement = "Another sample is taken."
"""


def test_shipped_profiles_hold_what_was_published():
    found = {name: {(one.medium, one.value) for one in profile(name).thresholds} for name in profile_names()}
    assert found == PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_profile_says_where_it_comes_from(name):
    known = profile(name)
    assert known.name == name
    assert known.source
    assert known.date
    assert known.unit == "ug/L"
    assert all(one.statement.endswith(".") and one.medium in MEDIA for one in known.thresholds)
    values = [one.value for one in known.thresholds]
    assert values == sorted(values)


def test_caveat_goes_with_a_profile():
    for word in ("raw surface water", "Dissolved", "finished water"):
        assert word in CAVEAT
    text = profile("who-2020").describe()
    assert text.endswith(CAVEAT)
    assert "WHO/HEP/ECH/WSH/2020.6" in text
    assert "24 ug/L, recreation (water where people bathe)" in text


def test_own_profile(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(OWN, encoding="utf-8")
    own = read_profile(file)
    assert own.name == "my-lake-2026"
    assert [(one.name, one.value) for one in own.thresholds] == [("look again", 0.5), ("call the plant", 5.0)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('unit = "ug/L"', 'unit = "mg/L"', r"wanted unit = 'ug/L', found 'mg/L'"),
        ('source = "Board', 'sauce = "Board', r"unknown key 'sauce'; did you mean 'source'"),
        ('date = "2026-03-01"', "", r"wanted date as a text, found None"),
        (
            "value = 0.5",
            "value = -1",
            r"threshold 2: wanted value, a conc.* above zero in ug/L; found -1",
        ),
        ("value = 5", 'value = "5"', r"threshold 1: wanted value.*found '5'"),
        ("value = 5", "value = true", r"found True"),
        ("value = 5", "value = inf", r"found inf"),
        ('medium = "raw"', 'medium = "tap"', r"drinking, recreational, raw; found 'tap'"),
        ('name = "look again"', 'name = "call the plant"', r"thresholds of different names"),
        ("[my-lake-2026]", "[my-lake-2026", r"is not TOML"),
        ("[my-lake-2026]", "[another]\ntitle = 'x'\n[my-lake-2026]", r"\[another\]: wanted source as a text"),
        ("[my-lake-2026]", "number = 1\n[my-lake-2026]", r"wanted a section with title"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, old, new, message):
    file = tmp_path / "own.toml"
    file.write_text(OWN.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ThresholdError, match=message) as caught:
        read_profile(file)
    assert "own.toml" in str(caught.value)


def test_a_file_holds_one_profile(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(OWN + OWN.replace("my-lake-2026", "other"), encoding="utf-8")
    with pytest.raises(ThresholdError, match="wanted one profile, found 2: my-lake-2026, other"):
        read_profile(file)
    file.write_text("", encoding="utf-8")
    with pytest.raises(ThresholdError, match="found 0"):
        read_profile(file)
    with pytest.raises(ThresholdError, match="can't read the threshold profile"):
        read_profile(tmp_path / "nowhere.toml")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(ThresholdError, match="did you mean 'who-2020'"):
        profile("who2020")
