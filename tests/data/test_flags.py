from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spectm.data.flags import PRESETS, flag_counts, flag_mask, flag_names, flag_table, flags_of
from spectm.data.granule import open_granule
from spectm.errors import FlagError
from tests.data.granules import FLAG_MASKS, FLAGS, flag_bits, swath_grid, write_l2_granule, write_l3_file


def flags(pixels: dict[str, list[tuple[int, int]]], shape: tuple[int, int] = (3, 4)) -> xr.DataArray:
    """Flags of a file that is not there, with the real table."""
    attrs = {"flag_masks": FLAG_MASKS, "flag_meanings": " ".join(FLAGS), "file": "somewhere/granule.nc"}
    return xr.DataArray(flag_bits(shape, pixels), dims=("line", "pixel"), attrs=attrs)


# The table


def test_the_table_of_a_real_file(pace_files: Path) -> None:
    """Positions count from the bit of value 1; the fixture's table is the same."""
    with open_granule(pace_files / "pace_l2_sample.nc") as granule:
        table = flag_table(granule["l2_flags"])
        assert granule["l2_flags"].attrs["flag_meanings"].split() == list(FLAGS)
        np.testing.assert_array_equal(granule["l2_flags"].attrs["flag_masks"], FLAG_MASKS)
    assert len(table) == 27 + 1  # names, and SPARE for the other five
    assert (table["ATMFAIL"], table["LAND"], table["CLDICE"]) == (1, 2, 512)
    assert table["PRODFAIL"] == 2**30
    assert table["SPARE"] == 2**7 + 2**13 + 2**18 + 2**27 + 2**31


def test_counts_of_a_real_file(pace_files: Path) -> None:
    """Every pixel carries HISATZEN, so nothing else costs one by itself."""
    with open_granule(pace_files / "pace_l2_sample.nc") as granule:
        counts = flag_counts(granule["l2_flags"], None, "standard").set_index("flag")
        with h5py.File(pace_files / "pace_l2_sample.nc") as file:
            raw = file["geophysical_data/l2_flags"][()].tolist()
        assert counts.loc["HISATZEN", ["pixels", "share", "alone"]].tolist() == [100, 1.0, 0]
        for name, bit in {"CLDICE": 512, "HIPOL": 2**29, "STRAYLIGHT": 256, "PRODFAIL": 2**30}.items():
            assert counts.loc[name, "pixels"] == sum((word // bit) % 2 for line in raw for word in line)
        assert bool(flag_mask(granule["l2_flags"], "bloom").all())
        cloud_or_bright = sum(word & (512 + 16) != 0 for line in raw for word in line)
        assert int(flag_mask(granule["l2_flags"], "CLDICE,HILT").sum()) == cloud_or_bright


def test_the_presets_of_a_real_map(pace_files: Path) -> None:
    """`standard` is what the maps leave out; `bloom` keeps what bright blooms trip."""
    with open_granule(pace_files / "pace_l3_sample.nc") as granule:
        assert list(PRESETS["standard"]) == granule.attrs["l2_flag_names"].split(",")
    assert set(PRESETS["standard"]) - set(PRESETS["bloom"]) == {
        "COCCOLITH",
        "CHLWARN",
        "CHLFAIL",
        "MAXAERITER",
    }
    assert set(PRESETS["bloom"]) < set(PRESETS["standard"])
    assert not {"TURBIDW", "PRODWARN"} & set(PRESETS["standard"])


@pytest.mark.parametrize(
    ("masks", "meanings"),
    [
        (np.array([1, 2, -(2**31)], dtype=np.int32), "ATMFAIL LAND SPARE"),
        ([1, 2, 2**31], "ATMFAIL  LAND\tSPARE"),
        (np.array([1, 2, 2**31], dtype=np.uint32), np.array(["ATMFAIL", "LAND", "SPARE"])),
        ((1, 2, -(2**31)), [b"ATMFAIL", b"LAND", b"SPARE"]),
    ],
)
def test_forms_of_the_table(masks, meanings) -> None:
    words = xr.DataArray(np.zeros(1, np.int32), attrs={"flag_masks": masks, "flag_meanings": meanings})
    assert flag_table(words) == {"ATMFAIL": 1, "LAND": 2, "SPARE": 2**31}


def test_a_table_of_one() -> None:
    words = xr.DataArray(np.array([4, 0]), attrs={"flag_masks": np.int32(4), "flag_meanings": "LAND"})
    assert flag_table(words) == {"LAND": 4}
    np.testing.assert_array_equal(flag_mask(words, ["LAND"]), [True, False])


def test_tables_that_are_none() -> None:
    words = flags({})
    words.attrs["flag_meanings"] = "LAND CLDICE"
    with pytest.raises(
        FlagError, match=r"a name for each of 32 flag_masks, found 2 in somewhere/granule\.nc"
    ):
        flag_table(words)
    del words.attrs["flag_masks"]
    with pytest.raises(
        FlagError, match=r"wanted flag_masks and flag_meanings, found .* in somewhere/granule"
    ):
        flag_mask(words, ["LAND"])
    with pytest.raises(FlagError, match="wanted flags as whole numbers, found float32"):
        flag_mask(flags({}).astype(np.float32, keep_attrs=True), ["LAND"])


# Masks


@pytest.mark.parametrize("name", sorted(set(FLAGS) - {"SPARE"}))
def test_each_flag_masks_exactly_its_own_pixels(name: str) -> None:
    """A pixel carries this flag, another all the others, a third both."""
    words = flags({name: [(0, 1), (2, 2)]} | {other: [(1, 1), (2, 2)] for other in set(FLAGS) - {name}})
    expected = np.zeros((3, 4), dtype=bool)
    expected[0, 1] = expected[2, 2] = True
    np.testing.assert_array_equal(flag_mask(words, [name]), expected)


def test_all_bits_of_a_repeated_name() -> None:
    """The highest bit is a negative number in the file."""
    for position in (7, 13, 18, 27, 31):
        words = flags({})
        words[1, 2] = FLAG_MASKS[position]
        mask = flag_mask(words, ["SPARE"])
        assert mask.dtype == bool
        assert np.argwhere(mask.values).tolist() == [[1, 2]]
        assert not flag_mask(words, set(FLAGS) - {"SPARE"}).any()


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_flags_of_any_whole_type(dtype: type) -> None:
    words = flags({"LAND": [(0, 0)], "SPARE": [(1, 1)]})
    words[2, 2] = FLAG_MASKS[31]
    words = words.astype(dtype, keep_attrs=True)
    assert np.argwhere(flag_mask(words, "LAND").values).tolist() == [[0, 0]]
    assert np.argwhere(flag_mask(words, "SPARE").values).tolist() == [[1, 1], [2, 2]]


def test_masks_join_and_none_masks_nothing() -> None:
    words = flags({"LAND": [(0, 0)], "CLDICE": [(0, 0), (1, 3)], "TURBIDW": [(2, 0)]})
    mask = flag_mask(words, ["LAND", "CLDICE"])
    assert mask.dims == ("line", "pixel")
    assert np.argwhere(mask.values).tolist() == [[0, 0], [1, 3]]
    assert not flag_mask(words, "none").any()
    assert not flag_mask(words, []).any()
    np.testing.assert_array_equal(flag_mask(words, "standard"), mask)
    assert mask.attrs == {"flags": "LAND CLDICE"}  # and no table of flags any more


def test_a_mask_of_a_dask_array_is_lazy() -> None:
    dask = pytest.importorskip("dask.array")
    words = flags({"LAND": [(0, 0)]})
    lazy = flag_mask(words.copy(data=dask.from_array(words.values, chunks=2)), ["LAND"])
    assert isinstance(lazy.data, dask.Array)
    assert np.argwhere(lazy.values).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("LAND,CLDICE", ("LAND", "CLDICE")),
        (" land  cldice,LAND ", ("LAND", "CLDICE")),
        (["LAND", "TURBIDW"], ("LAND", "TURBIDW")),
        ("none", ()),
        ([], ()),
        ("none,HILT", ("HILT",)),
        ("bloom,TURBIDW", (*PRESETS["bloom"], "TURBIDW")),
        (["Standard", "LAND"], PRESETS["standard"]),
    ],
)
def test_names(wanted, names: tuple[str, ...]) -> None:
    assert flag_names(wanted) == names


def test_names_that_are_none() -> None:
    with pytest.raises(FlagError, match="The preset none leaves nothing out"):
        flag_names(" , ")


@pytest.mark.parametrize(
    ("wrong", "near"), [("CLOUDICE", "CLDICE"), ("blom", "BLOOM"), ("TURBID", "TURBIDW")]
)
def test_an_unknown_name(wrong: str, near: str) -> None:
    said = rf"the flag {wrong.upper()}, found no such flag in somewhere/granule\.nc\. Did you mean {near}\?"
    with pytest.raises(FlagError, match=said) as caught:
        flag_mask(flags({}), ["LAND", wrong])
    assert "ATMFAIL" in str(caught.value)
    assert "presets are standard, bloom, none" in str(caught.value)
    with pytest.raises(FlagError, match=said):
        flag_counts(flags({}), None, [wrong])


# Files


@pytest.mark.slow
def test_files_name_themselves_and_maps_have_no_flags(tmp_path: Path) -> None:
    latitude, longitude = swath_grid(4, 3)
    wavelength, Rrs = np.array([443, 560]), np.full((4, 3, 1), 0.002)
    usual = {"latitude": latitude, "longitude": longitude, "Rrs": Rrs, "wavelength": wavelength}
    path = write_l2_granule(tmp_path / "swath.nc", flags={"LAND": [(1, 2)]}, **usual)
    with open_granule(path) as granule:
        assert np.argwhere(flag_mask(flags_of(granule), "LAND").values).tolist() == [[1, 2]]
        with pytest.raises(FlagError, match=r"wanted the flag NOSUCH, found no such flag in .*swath\.nc"):
            flag_mask(granule["l2_flags"], "NOSUCH")
    lat, lon = np.array([2.0, 1.0]), np.array([10.0, 11.0])
    path = write_l3_file(tmp_path / "map.nc", lat=lat, lon=lon, values=0.002, wavelength=wavelength)
    with open_granule(path) as granule:
        with pytest.raises(FlagError, match=r"found none in .*map\.nc, a L3M_RRS.*were: ATMFAIL,LAND,HILT"):
            flags_of(granule)
        with pytest.raises(FlagError, match="Level-3 maps have no flags"):
            flag_mask(granule["Rrs"], "LAND")


# Counts


def test_counts() -> None:
    """LAND alone at (0, 0), CLDICE alone at (0, 1) and (0, 2), both at (0, 3); TURBIDW excludes nothing."""
    words = flags({"LAND": [(0, 0), (0, 3)], "CLDICE": [(0, 1), (0, 2), (0, 3)], "TURBIDW": [(1, 0), (0, 1)]})
    counts = flag_counts(words, None, ["LAND", "CLDICE"])
    assert counts.columns.tolist() == ["flag", "excluded_by", "pixels", "share", "alone"]
    assert counts["flag"].tolist() == [name for name in FLAGS if name != "SPARE"]
    counts = counts.set_index("flag")
    assert counts.loc["LAND"].tolist() == [True, 2, 2 / 12, 1]
    assert counts.loc["CLDICE"].tolist() == [True, 3, 3 / 12, 2]
    assert counts.loc["TURBIDW"].tolist() == [False, 2, 2 / 12, 0]
    assert counts.loc["HILT"].tolist() == [False, 0, 0.0, 0]
    assert counts.loc[counts["excluded_by"]].index.tolist() == ["LAND", "CLDICE"]


def test_counts_inside_a_region() -> None:
    words = flags({"LAND": [(0, 0), (0, 3)], "CLDICE": [(0, 1), (0, 2), (0, 3)]})
    inside = xr.zeros_like(words, dtype=bool)
    inside[0, 2:] = True
    counts = flag_counts(words, inside, "standard").set_index("flag")
    assert counts.loc["LAND"].tolist() == [True, 1, 0.5, 0]
    assert counts.loc["CLDICE"].tolist() == [True, 2, 1.0, 1]
    nowhere = flag_counts(words, xr.zeros_like(inside), "standard")
    assert nowhere["pixels"].sum() == 0
    assert nowhere["share"].isna().all()


def test_spare_has_a_row_where_it_is_set_or_named() -> None:
    assert "SPARE" in set(flag_counts(flags({"SPARE": [(0, 0)]}), None, "none")["flag"])
    one = flag_counts(flags({"SPARE": [(0, 0)]}), None, "SPARE").set_index("flag")  # of its five bits
    assert one.loc["SPARE"].tolist() == [True, 1, 1 / 12, 1]
    assert "SPARE" in set(flag_counts(flags({}), None, "SPARE")["flag"])


def test_counts_equal_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    names = sorted(set(FLAGS) - {"SPARE"})
    pixels = {name: [(i, j) for i in range(6) for j in range(5) if rng.random() < 0.08] for name in names}
    words, chosen = flags(pixels, (6, 5)), flag_names("bloom")
    counts = flag_counts(words, None, chosen).set_index("flag")
    for name in names:
        others = {place for other in chosen if other != name for place in pixels[other]}
        alone = len(set(pixels[name]) - others) if name in chosen else 0
        assert counts.loc[name, ["pixels", "alone"]].tolist() == [len(pixels[name]), alone]
    lost = len({place for name in chosen for place in pixels[name]})
    assert int(flag_mask(words, chosen).sum()) == lost
    assert isinstance(counts, pd.DataFrame)
