"""Tables of one's own spectra: every column where it belongs, every fault named with its place."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from spectm.data.patches import read_patches
from spectm.data.spectra_file import read_spectra, write_spectra
from spectm.data.spectra_table import described_spectra
from spectm.errors import ConfigError, PatchError, SensorError, SpectraError

DESCRIPTION = """
[spectra]
files = ["table.csv"]
sample = "name"
group = "site"
time = "day"
latitude = "lat"
longitude = "lon"
band_column = "Rrs_{nm}"
source = "by hand"

[sensor]
bands = "bands.csv"

[target]
name = "chlorophyll"
column = "chl"
unit = "mg m-3"
detection_limit = 0.5
thresholds = [10, 30]
"""
TABLE = """\
name,site,day,lat,lon,chl,Rrs_650,Rrs_500,Rrs_550,note
a,north,2024-06-01,41.5,-83,3.5,0.003,0.001,0.002,fine
b,north,2024-06-02T17:30,41.6,-83,<0.5,0.006,0.004,0.005,
c,south,2024-06-03,41.7,-83,0.2,0.009,,0.008,
d,south,2024-06-04,41.8,-83,,0.03,0.01,0.02,
e,south,2024-06-05,41.9,-83,about 3,0.04,0.02,0.03,
"""
BANDS = "wavelength_nm,width_nm\n500,10\n550.3,10\n650,10\n"


@pytest.fixture
def files(tmp_path: Path):
    """Write the three files, with some text changed; returns the description."""

    def write(*changes: tuple[str, str], table: str = TABLE, bands: str = BANDS) -> Path:
        text = DESCRIPTION
        for old, new in changes:
            assert old in text + table
            text, table = text.replace(old, new), table.replace(old, new)
        (tmp_path / "table.csv").write_text(table)
        (tmp_path / "bands.csv").write_text(bands)
        (tmp_path / "own.toml").write_text(text)
        return tmp_path / "own.toml"

    return write


def test_every_column_is_where_it_belongs(files, tmp_path):
    spectra, problems = described_spectra(files())
    patches = spectra.patches
    assert patches.wavelength.tolist() == [500, 550.3, 650]
    np.testing.assert_allclose(patches.Rrs[0, :, 0, 0], [0.001, 0.002, 0.003], rtol=1e-6)
    np.testing.assert_allclose(patches.Rrs[2, :, 0, 0], [np.nan, 0.008, 0.009], rtol=1e-6)
    assert spectra.sample.tolist() == list("abcde")
    assert spectra.group.tolist() == patches.station.tolist() == ["north", "north", "south", "south", "south"]
    assert patches.time.astype("datetime64[m]").astype(str).tolist()[:2] == [
        "2024-06-01T00:00",
        "2024-06-02T17:30",
    ]
    assert patches.latitude.tolist() == [41.5, 41.6, 41.7, 41.8, 41.9]
    assert (patches.longitude == -83).all()
    np.testing.assert_array_equal(spectra.value, [3.5, 0.5, 0.5, np.nan, np.nan])  # 0.2 is below the limit
    assert spectra.below.tolist() == [False, True, True, False, False]
    assert spectra.labelled.tolist() == [0, 1]  # c has a gap
    assert patches.source == "by hand"
    assert not patches.simulated
    (problem,) = problems.to_dict("records")
    assert (problem["line"], problem["column"], problem["value"]) == (6, "chl", "about 3")


def test_what_is_written_is_read_back(files, tmp_path):
    spectra, _ = described_spectra(files())
    write_spectra(spectra, tmp_path / "own.nc")
    again = read_spectra(tmp_path / "own.nc")
    assert again.target.thresholds == (10.0, 30.0)
    assert (again.target.name, again.target.unit) == ("chlorophyll", "mg m-3")
    assert again.target.detection_limit == 0.5
    for name in ("sample", "group", "value", "below"):
        np.testing.assert_array_equal(getattr(again, name), getattr(spectra, name))
    for name in ("Rrs", "wavelength", "time", "station", "latitude", "longitude"):
        np.testing.assert_array_equal(getattr(again.patches, name), getattr(spectra.patches, name))
    assert again.has_time
    assert read_patches(tmp_path / "own.nc").n_samples == 5  # an ordinary file of patches, too


def test_reflectance_is_divided_by_pi(files):
    spectra, _ = described_spectra(files(('source = "by hand"', 'quantity = "reflectance"')))
    np.testing.assert_allclose(spectra.patches.Rrs[0, 0, 0, 0], 0.001 / 3.14159265, rtol=1e-6)


def test_without_times_groups_never_follow_each_other_as_places_do(files):
    spectra, _ = described_spectra(files(('time = "day"\n', "")))
    assert not spectra.has_time
    days = spectra.patches.time.astype("datetime64[D]").astype(int)
    assert len(set(days[:2])) == len(set(days[2:])) == 1
    assert days[0] != days[2]


def test_without_names_and_groups_lines_are_taken(files):
    spectra, _ = described_spectra(files(('sample = "name"\n', ""), ('group = "site"\n', "")))
    assert spectra.sample.tolist()[:2] == ["table.csv:2", "table.csv:3"]
    assert np.unique(spectra.group).size == 5


def test_finer_spectra_are_averaged_over_each_band(files, tmp_path):
    fine = np.arange(480, 671)
    header = "name,site,day,lat,lon,chl," + ",".join(f"Rrs_{nm}" for nm in fine)
    row = "a,north,2024-06-01,41.5,-83,3.5," + ",".join(f"{1e-5 * nm:.6f}" for nm in fine)
    path = files(
        ('bands = "bands.csv"', 'bands = "bands.csv"\nmethod = "average"'), table=f"{header}\n{row}\n"
    )
    spectra, _ = described_spectra(path)
    # a straight line has its value at the centre as its mean
    np.testing.assert_allclose(spectra.patches.Rrs[0, :, 0, 0], [0.005, 0.005503, 0.0065], rtol=1e-4)


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_netcdf_and_zarr(files, tmp_path, kind):
    path = files(("table.csv", f"table.{kind}"), ("Rrs_{nm}", "{nm}"))
    dataset = xr.Dataset(
        {
            "Rrs": (("wavelength", "id"), np.array([[0.003, 0.006], [0.001, 0.004], [0.002, 0.005]])),
            "name": ("id", np.array(["a", "b"], dtype=object)),
            "site": ("id", np.array(["n", "s"], dtype=object)),
            "day": ("id", np.array(["2024-06-01", "2024-06-02"], dtype="datetime64[ns]")),
            "lat": ("id", [41.5, 41.6]),
            "lon": ("id", [-83.0, -83.0]),
            "chl": ("id", [3.5, np.nan]),
        },
        coords={"wavelength": [650.0, 500.0, 550.0]},
    )
    if kind == "nc":
        dataset.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    else:
        pytest.importorskip("zarr")
        dataset.to_zarr(tmp_path / "table.zarr", zarr_format=2)
    spectra, problems = described_spectra(path)
    np.testing.assert_allclose(spectra.patches.Rrs[1, :, 0, 0], [0.004, 0.005, 0.006], rtol=1e-6)
    np.testing.assert_array_equal(spectra.value, [3.5, np.nan])
    assert spectra.patches.time[1] == np.datetime64("2024-06-02")
    assert spectra.sample.tolist() == ["a", "b"]
    assert problems.empty


def test_excel(files, tmp_path):
    pytest.importorskip("openpyxl")
    import pandas as pd

    path = files(("table.csv", "table.xlsx"), ('sample = "name"', 'sample = "name"\nsheet = "data"'))
    table = pd.read_csv(tmp_path / "table.csv")
    with pd.ExcelWriter(tmp_path / "table.xlsx") as book:
        pd.DataFrame({"other": [1]}).to_excel(book, sheet_name="first", index=False)
        table.to_excel(book, sheet_name="data", index=False)
    spectra, _ = described_spectra(path)
    np.testing.assert_allclose(spectra.patches.Rrs[0, :, 0, 0], [0.001, 0.002, 0.003], rtol=1e-6)
    np.testing.assert_array_equal(spectra.value[:2], [3.5, 0.5])


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ([("table.csv", "other.csv")], SpectraError, r"wanted spectra in 'other.csv'"),
        ([('"table.csv"', "")], SpectraError, r"wanted spectra.files"),
        ([('"Rrs_{nm}"', '"band {nm}"')], SpectraError, r"columns of bands called like 'band {nm}'"),
        (
            [('group = "site"', 'group = "place"')],
            SpectraError,
            r"wanted the column 'place' \(spectra.group\)",
        ),
        ([('column = "chl"', 'column = "toxin"')], SpectraError, r"wanted the column 'toxin'"),
        ([("group =", "gruop =")], ConfigError, r"did you mean 'group'"),
        (
            [("detection_limit = 0.5", "detection_limit = 0")],
            ConfigError,
            r"detection_limit wants a positive",
        ),
        ([("thresholds = [10, 30]", "thresholds = [10, -1]")], ConfigError, r"thresholds wants positive"),
        ([("0.005", "n/a?")], SpectraError, r"line 3, column 'Rrs_550': wanted a number, found 'n/a\?'"),
        ([("3.5", "-3.5")], SpectraError, r"line 2, column 'chl'"),
        ([("2024-06-03", "June")], SpectraError, r"line 4, column 'day': wanted a date"),
        ([("41.7", "95")], SpectraError, r"line 4, column 'lat'"),
        ([("b,north", "a,north")], SpectraError, r"a name of its own for each spectrum, found 'a' 2 times"),
        ([("b,north", ",north")], SpectraError, r"line 3, column 'name': wanted a name"),
        ([("b,north", "b,")], SpectraError, r"line 3, column 'site': wanted a name"),
        ([("Rrs_550,note", "Rrs_550,Rrs_550.0")], SpectraError, r"550 nm is there twice"),
        ([("Rrs_550,note", "Rrs_550,Rrs_550")], SpectraError, r"each column once, found 'Rrs_550' twice"),
        ([("0.002,fine", "0.002,fine,more")], SpectraError, r"as many cells in each line"),
        ([("0.005", "inf")], SpectraError, r"line 3, column 'Rrs_550': wanted a number, found 'inf'"),
        ([("0.005", "-9999")], SpectraError, r"spectrum 2: wanted reflectance, found -9999"),
        (
            [("detection_limit = 0.5\n", "")],
            ConfigError,
            r"detection_limit wants a positive number, found none",
        ),
        ([(TABLE[TABLE.index("\n") + 1 :], "")], SpectraError, r"found headers alone"),
        ([("Rrs_550", "Rrs_560")], SpectraError, r"within 0.5 nm of 550.3 nm"),
    ],
)
def test_faults_are_named(files, changes, error, said):
    with pytest.raises(error, match=said):
        described_spectra(files(*changes))


def test_a_damaged_band_list_is_named(files):
    with pytest.raises(SensorError, match=r"bands.csv, line 3"):
        described_spectra(files(bands="wavelength_nm,width_nm\n500,10\nx,10\n"))


def test_zero_is_below_the_limit_and_a_strange_place_is_reported(files):
    spectra, problems = described_spectra(files(("3.5", "0"), ("41.7", "41 N")))
    assert spectra.below[0]
    assert spectra.value[0] == 0.5
    assert np.isnan(spectra.patches.latitude[2])
    assert problems["value"].tolist() == ["41 N", "about 3"] or problems["value"].tolist() == [
        "about 3",
        "41 N",
    ]


def test_a_gap_in_finer_spectra_costs_the_bands_that_need_it(files):
    fine = np.arange(480, 671)
    header = "name,site,day,lat,lon,chl," + ",".join(f"Rrs_{nm}" for nm in fine)
    cells = [f"{1e-5 * nm:.6f}" for nm in fine]
    cells[int(np.flatnonzero(fine == 551)[0])] = ""
    cells[int(np.flatnonzero(fine == 600)[0])] = ""  # in no band
    row = "a,north,2024-06-01,41.5,-83,3.5," + ",".join(cells)
    change = ('bands = "bands.csv"', 'bands = "bands.csv"\nmethod = "average"')
    spectra, _ = described_spectra(files(change, table=f"{header}\n{row}\n"))
    np.testing.assert_allclose(spectra.patches.Rrs[0, :, 0, 0], [0.005, np.nan, 0.0065], rtol=1e-4)


@pytest.mark.parametrize(
    ("attrs", "said"),
    [
        ({"Rrs": "percent"}, "wanted Rrs in .*found 'percent'"),
        ({"wavelength": "um"}, "wanted wavelength in .*found 'um'"),
        ({"Rrs": "1"}, "set spectra.quantity"),
    ],
)
def test_units_that_are_others_are_refused(files, tmp_path, attrs, said):
    path = files(
        ("table.csv", "table.nc"), ('time = "day"', ""), ('latitude = "lat"', ""), ('longitude = "lon"', "")
    )
    dataset = xr.Dataset(
        {
            "Rrs": (("id", "wavelength"), [[0.003, 0.006, 0.001]]),
            "name": ("id", np.array(["a"], dtype=object)),
            "site": ("id", np.array(["n"], dtype=object)),
            "chl": ("id", [3.5]),
        },
        coords={"wavelength": [500.0, 550.0, 650.0]},
    )
    for name, units in attrs.items():
        dataset[name].attrs["units"] = units
    dataset.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with pytest.raises(SpectraError, match=said):
        described_spectra(path)


def test_bands_beyond_finer_spectra_are_refused(files):
    path = files(('bands = "bands.csv"', 'bands = "bands.csv"\nmethod = "average"'))
    with pytest.raises(SpectraError, match=r"table.csv: wanted columns finer than the band of 10 nm"):
        described_spectra(path)


def test_patches_of_water_have_no_target(tmp_path, study):
    with pytest.raises(SpectraError, match=r"patches without target.*--labels"):
        read_spectra(study.patches_file)
    with pytest.raises(PatchError):
        read_spectra(tmp_path / "nothing.nc")
