"""The laboratory reader: three real layouts, the plain one, and every way a file can be wrong."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectm.data import cells, labels, layouts
from spectm.data.labels import Labels, read_labels, station_positions, surface_samples
from spectm.errors import LabelError

LONG_HEADER = (
    "Date,Site,Sample Depth (m),Sample Depth (category),Local Time (Eastern Time Zone),"
    "Latitude (decimal deg),Longitude (decimal deg),Turbidity (NTU),Particulate Microcystin (µg/L),"
    "Dissolved Microcystin (µg/L),Extracted Phycocyanin (µg/L),Extracted Chlorophyll a (µg/L),Urea (µg N/L),"
    "Colored Dissolved Organic Material absorbance (m-1) at 400nm ,Total Suspended Solids (mg/L)"
)
LOWER_HEADER = (
    "date,station_name,sample_depth_m,sample_depth_category,time,lat,lon,turbidity,particulate_microcystin,"
    "dissolved_microcystin,extracted_phycocyanin,extracted_chla,cdom,tss"
)
HEADER_2024 = (
    "Date,Site,Sample_Depth_m,Sample_Depth_category,Arrival_Time,Lat_deg,Long_deg,Turbidity_NTU,"
    "Particulate_Microcystin_ugL-1,Dissolved_Microcystin_ugL-1,Extracted_PC_ugL-1,Extracted_CHLa_ugL-1"
)
MakeFile = Callable[..., Path]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Write a header and rows; returns the path."""

    def make(
        header: str, rows: Sequence[str] = (), *, name: str = "record.csv", encoding: str = "latin-1"
    ) -> Path:
        path = tmp_path / name
        path.write_bytes("\r\n".join([header, *rows, ""]).encode(encoding))
        return path

    return make


def read_2024(make_file: MakeFile, *rows: str) -> Labels:
    return read_labels(make_file(HEADER_2024, rows))


def one_2024(
    date: str = "8/19/2024",
    time: str = "10:30",
    microcystin: str = "1.5",
    phycocyanin: str = "2",
    lat: str = "",
) -> str:
    return f"{date},WE2,1,Surface,{time},{lat},,3.5,{microcystin},0.2,{phycocyanin},10"


def test_the_long_layout_gives_every_quantity(make_file: MakeFile) -> None:
    row = "5/15/2012,WE2,0.75,Surface,10:40,41.0127,-83.0055,1,2,3,4,5,999,6,7"
    table = read_labels(make_file(LONG_HEADER, [row])).table
    values = table.loc[0, [*layouts.QUANTITIES, "depth_m", "latitude", "longitude"]].to_dict()
    assert values == {
        "turbidity": 1.0,
        "microcystin": 2.0,
        "dissolved_microcystin": 3.0,
        "phycocyanin": 4.0,
        "chlorophyll": 5.0,
        "cdom": 6.0,
        "suspended_solids": 7.0,
        "depth_m": 0.75,
        "latitude": 41.0127,
        "longitude": -83.0055,
    }


def test_the_lower_case_layout_gives_every_quantity(make_file: MakeFile) -> None:
    table = read_labels(
        make_file(LOWER_HEADER, ["6/16/2020,WE2,0.75,Surface,8:45,41.7,-83.3,1,2,3,4,5,6,7"])
    ).table
    quantities = ["turbidity", "microcystin", "dissolved_microcystin", "phycocyanin", "chlorophyll", "cdom"]
    assert table.loc[0, [*quantities, "suspended_solids"]].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert table.loc[0, "category"] == "surface"


def test_the_2024_layout_lacks_cdom_and_solids(make_file: MakeFile) -> None:
    table = read_2024(make_file, one_2024(lat="41.76")).table
    row = table.loc[0]
    assert (row["microcystin"], row["dissolved_microcystin"], row["phycocyanin"], row["chlorophyll"]) == (
        1.5,
        0.2,
        2.0,
        10.0,
    )
    assert (row["turbidity"], row["latitude"]) == (3.5, 41.76)
    assert math.isnan(row["cdom"])
    assert math.isnan(row["suspended_solids"])


def test_the_table_has_its_columns_units_and_types(make_file: MakeFile) -> None:
    table = read_2024(make_file, one_2024()).table
    assert tuple(table.columns) == labels.TABLE_COLUMNS
    assert str(table["time"].dtype) == "datetime64[ns, UTC]"
    assert table["microcystin_below_detection"].dtype == bool
    assert table["cdom_below_detection"].dtype == bool
    assert table.attrs["units"]["microcystin"] == "ug L-1"
    assert table.attrs["units"]["cdom"] == "m-1"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_a_micro_sign_reads_the_same_in_every_encoding(make_file: MakeFile, encoding: str) -> None:
    row = "5/15/2012,WE2,0.75,Surface,10:40,,,,1.25,,,,,,"
    assert read_labels(make_file(LONG_HEADER, [row], encoding=encoding)).table["microcystin"].tolist() == [
        1.25
    ]


@pytest.mark.parametrize(
    ("date", "time", "utc"),
    [
        ("8/19/2024", "10:30", "2024-08-19T14:30"),  # daylight saving, 4 h behind
        ("11/3/2014", "10:56", "2014-11-03T15:56"),  # standard time, 5 h behind
        ("8/19/2024", "23:15", "2024-08-20T03:15"),  # the next day in UTC
        ("8/19/2024", "", "2024-08-19T16:00"),  # missing: local noon
        ("1/19/2024", "", "2024-01-19T17:00"),
        ("11/3/2024", "1:30", "2024-11-03T05:30"),  # twice that night; the first is daylight saving
        ("3/10/2024", "3:00", "2024-03-10T07:00"),  # the first minute after the gap
    ],
)
def test_eastern_time_becomes_utc(make_file: MakeFile, date: str, time: str, utc: str) -> None:
    row = read_2024(make_file, one_2024(date, time)).table.loc[0]
    assert row["time"] == pd.Timestamp(utc, tz="UTC")
    assert row["time_known"] == (time != "")
    assert row["date"] == pd.Timestamp(date).strftime("%Y-%m-%d")


def test_an_ambiguous_time_is_reported(make_file: MakeFile) -> None:
    problems = read_2024(make_file, one_2024("11/3/2024", "1:30")).problems
    assert problems["why"].tolist() == [cells.AMBIGUOUS]
    assert problems.loc[0, ["file", "line", "column"]].tolist() == ["record.csv", 2, "Arrival_Time"]


def test_an_unreadable_time_is_noon_and_reported(make_file: MakeFile) -> None:
    read = read_2024(make_file, one_2024("8/19/2024", "morning"))
    assert read.table.loc[0, "time"] == pd.Timestamp("2024-08-19T16:00", tz="UTC")
    assert not read.table.loc[0, "time_known"]
    assert read.problems[["value", "why"]].to_numpy().tolist() == [["morning", cells.BAD_TIME]]
    assert read.n_dropped == 0


@pytest.mark.parametrize(
    ("text", "value", "below"),
    [
        ("2.5", 2.5, False),
        ("1e1", 10.0, False),
        (".5", 0.5, False),
        (" 0.3 ", 0.3, False),
        ("bdl", 0.1, True),
        ("BDL", 0.1, True),
        ("<0.1", 0.1, True),
        ("< 0.15", 0.15, True),
        ("<2", 2.0, True),
    ],
)
def test_a_microcystin_cell(make_file: MakeFile, text: str, value: float, below: bool) -> None:
    read = read_2024(make_file, one_2024(microcystin=text))
    assert read.table.loc[0, "microcystin"] == value
    assert read.table.loc[0, "microcystin_below_detection"] == below
    assert not read.table.loc[0, "chlorophyll_below_detection"]
    assert read.problems.empty


@pytest.mark.parametrize("text", ["nd", "ns", "ND", "", " ", "NaN", "n/a"])
def test_not_measured_is_not_below_detection(make_file: MakeFile, text: str) -> None:
    read = read_2024(make_file, one_2024(microcystin=text))
    assert math.isnan(read.table.loc[0, "microcystin"])
    assert not read.table.loc[0, "microcystin_below_detection"]
    assert read.problems.empty


def test_bare_bdl_of_phycocyanin_is_the_smallest_limit_stated(make_file: MakeFile) -> None:
    row = read_2024(make_file, one_2024(phycocyanin="bdl")).table.loc[0]
    assert (row["phycocyanin"], row["phycocyanin_below_detection"]) == (0.03, True)


@pytest.mark.parametrize(
    "text",
    ["2778.75 ± 294", "about 2", "1,5", "<", "<nd", "< <1", "inf", "1e999", "2 ug/L", "٣", "0x10", "1_000"],
)
def test_what_is_no_number_is_reported_counted_and_dropped(make_file: MakeFile, text: str) -> None:
    rows = [one_2024(), one_2024(date="8/20/2024", microcystin=f'"{text}"')]
    read = read_labels(make_file(HEADER_2024, rows, encoding="utf-8"))
    assert read.table["microcystin"].notna().tolist() == [True, False]
    assert not read.table["microcystin_below_detection"].any()
    assert read.table["chlorophyll"].tolist() == [10.0, 10.0]  # the rest of the row stays
    assert read.problems.to_dict("records") == [
        {
            "file": "record.csv",
            "line": 3,
            "column": "Particulate_Microcystin_ugL-1",
            "value": text,
            "why": cells.UNREADABLE,
        }
    ]
    assert read.n_dropped == 1
    assert read.summary() == "samples 2, files 1, values dropped 1, notes 0"


@pytest.mark.parametrize("text", ["0", "0.0", "<0"])
def test_zero_is_reported_and_dropped(make_file: MakeFile, text: str) -> None:
    read = read_2024(make_file, one_2024(microcystin=text))
    assert math.isnan(read.table.loc[0, "microcystin"])
    assert read.problems["why"].tolist() == [cells.ZERO]


@pytest.mark.slow
@given(st.text(alphabet="0123456789.-+eE<>bdlns ,±", max_size=8))
def test_no_cell_is_lost_silently(text: str) -> None:
    place = cells.Place("lake.csv", 2, "microcystin")
    text = text.strip()
    try:
        value, below = cells.quantity(text, place, limit=0.1)
    except LabelError:
        assert "-" in text
        return
    if math.isnan(value):
        assert not below
        assert (text.lower() in {"", "nd", "ns"}) != bool(place.problems)
    else:
        assert value > 0
        assert not place.problems


@pytest.mark.parametrize(
    ("row", "line_and_column", "wanted"),
    [
        (one_2024(microcystin="-0.3"), "line 3, column 'Particulate_Microcystin_ugL-1'", "a number from 0"),
        (one_2024(microcystin="<-0.3"), "line 3, column 'Particulate_Microcystin_ugL-1'", "a number from 0"),
        (one_2024(phycocyanin="-2"), "line 3, column 'Extracted_PC_ugL-1'", "a number from 0"),
        (one_2024(date="13/45/2024"), "line 3, column 'Date'", "month/day/year"),
        (one_2024(date="2/30/2024"), "line 3, column 'Date'", "no such day"),
        (one_2024(date=""), "line 3, column 'Date'", "month/day/year"),
        (one_2024(date="8/19/24"), "line 3, column 'Date'", "month/day/year"),
        (one_2024(date="45523"), "line 3, column 'Date'", "month/day/year"),
        (one_2024(date="8/19/0224"), "line 3, column 'Date'", "month/day/year"),
        (one_2024(time="25:10"), "line 3, column 'Arrival_Time'", "from 0:00 to 23:59"),
        (one_2024(time="9:75"), "line 3, column 'Arrival_Time'", "from 0:00 to 23:59"),
        (one_2024("3/10/2024", "2:30"), "line 3, column 'Arrival_Time'", "skipped"),
        (one_2024(lat="417.6"), "line 3, column 'Lat_deg'", "from -90 to 90"),
        (one_2024().replace("WE2", ""), "line 3, column 'Site'", "name of a station"),
        (one_2024().replace("WE2,1,", "WE2,-1,"), "line 3, column 'Sample_Depth_m'", "from 0 to"),
        (one_2024() + ",7", "line 3, column 'after Extracted_CHLa_ugL-1'", "12 cells"),
        (one_2024().rpartition(",")[0], "line 3, column 'Extracted_CHLa_ugL-1'", "12 cells"),
    ],
)
def test_what_can_not_be_is_an_error_that_says_where(
    make_file: MakeFile, row: str, line_and_column: str, wanted: str
) -> None:
    with pytest.raises(LabelError, match=wanted) as raised:
        read_2024(make_file, one_2024(), row)
    assert str(raised.value).startswith(f"record.csv, {line_and_column}: wanted")


def test_an_unknown_layout_names_what_it_found_and_what_it_lacks(make_file: MakeFile) -> None:
    path = make_file(HEADER_2024.replace("Microcystin_ugL", "Microcystin_ngL"), [one_2024()])
    with pytest.raises(LabelError, match="line 1: wanted the header of a known layout") as raised:
        read_labels(path)
    message = str(raised.value)
    assert "found 'Date, Site," in message
    assert "nearest is 'GLERL 2024'" in message
    assert "['Particulate_Microcystin_ugL-1', 'Dissolved_Microcystin_ugL-1']" in message


def test_a_column_named_twice_is_refused(make_file: MakeFile) -> None:
    with pytest.raises(LabelError, match="column 'Site': wanted it once, found it 2 times"):
        read_labels(make_file(HEADER_2024 + ",Site", [one_2024() + ",WE4"]))


def test_an_unclosed_quote_of_a_megabyte_is_no_csv(make_file: MakeFile) -> None:
    with pytest.raises(LabelError, match="wanted comma-separated values"):
        read_labels(make_file(HEADER_2024, ['"' + "x" * 200_000]))


@pytest.mark.parametrize(("content", "message"), [("", "empty file"), ("\r\n,,\r\n", "empty file")])
def test_an_empty_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "lake.csv").write_text(content)
    with pytest.raises(LabelError, match=f"lake.csv, line 1: .*{message}"):
        read_labels(tmp_path)


def test_a_header_alone_is_refused(make_file: MakeFile) -> None:
    with pytest.raises(LabelError, match="line 2: wanted samples, found a header alone"):
        read_labels(make_file(HEADER_2024))


def test_a_folder_without_csv_and_a_path_to_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(LabelError, match="wanted a folder with laboratory files"):
        read_labels(tmp_path)
    with pytest.raises(LabelError, match="found nothing there"):
        read_labels(tmp_path / "absent")


def test_a_folder_is_read_whole_sorted_by_time_and_station(make_file: MakeFile) -> None:
    make_file(HEADER_2024, [one_2024("8/20/2024"), one_2024("8/18/2024")], name="b.CSV")
    folder = make_file(
        HEADER_2024, [one_2024("8/19/2024"), one_2024("8/18/2024").replace("WE2", "WE12")]
    ).parent
    table = read_labels(folder).table
    assert table["date"].tolist() == ["2024-08-18", "2024-08-18", "2024-08-19", "2024-08-20"]
    assert table["station"].tolist() == ["WE12", "WE2", "WE2", "WE2"]
    assert list(zip(table["file"], table["line"], strict=True)) == [
        ("record.csv", 3),
        ("b.CSV", 3),
        ("record.csv", 2),
        ("b.CSV", 2),
    ]
    assert table.index.tolist() == [0, 1, 2, 3]


def test_line_numbers_count_blank_and_quoted_lines(make_file: MakeFile) -> None:
    two_lines = one_2024(microcystin='"1.5\r\n"')
    table = read_2024(make_file, two_lines, ",,,,,,,,,,,", "", one_2024("8/20/2024")).table
    assert table["line"].tolist() == [2, 6]


def test_duplicates_are_reported_and_kept(make_file: MakeFile) -> None:
    bottom = one_2024().replace("1,Surface", "4,Bottom")
    read = read_2024(make_file, one_2024(), one_2024(microcystin="9"), bottom, one_2024("8/20/2024"))
    assert len(read.table) == 4
    assert read.problems[["line", "value", "why"]].to_numpy().tolist() == [[3, "WE2", labels.DUPLICATE]]
    assert read.n_dropped == 0


@pytest.mark.parametrize(
    ("depth_and_category", "kept"),
    [
        ("0.75,Surface", True),
        (",Surface", True),
        ("1.99,surface", True),
        ("2,Surface", False),
        ("0,Scum", False),
        ("0.75,Bottom", False),
        ("0.75,Mid-column", False),
        ("0.75,", False),
    ],
)
def test_surface_is_a_category_and_a_depth(make_file: MakeFile, depth_and_category: str, kept: bool) -> None:
    row = one_2024().replace("1,Surface", depth_and_category)
    assert len(surface_samples(read_2024(make_file, row))) == kept


def test_surface_samples_keep_their_index(make_file: MakeFile) -> None:
    scum = one_2024("8/18/2024").replace("1,Surface", "0,Scum")
    assert surface_samples(read_2024(make_file, scum, one_2024())).index.tolist() == [1]


def test_station_positions_are_medians(make_file: MakeFile) -> None:
    rows = [
        one_2024(f"8/{day}/2024", lat=lat) for day, lat in enumerate(["41.0127", "41.76", "41.77", ""], 1)
    ]
    positions = station_positions(read_2024(make_file, *rows))
    assert positions.loc["WE2", "latitude"] == 41.76  # the mean of the three would be 41.51
    assert math.isnan(positions.loc["WE2", "longitude"])


def test_plain_layout_with_complete_moments(make_file: MakeFile) -> None:
    path = make_file(
        "station,time,microcystin,turbidity,depth_m,longitude",
        [
            "Pier,2024-08-19T22:30-04:00,<0.3,2,0.5,10",
            "Pier,2024-08-21T10:00Z,4,,,",
            "Pier,2024-08-22 12:00:30+02:00,bdl,1,,",
        ],
        encoding="utf-8-sig",
    )
    read = read_labels(path)
    assert read.table["time"].tolist() == [
        pd.Timestamp("2024-08-20T02:30", tz="UTC"),
        pd.Timestamp("2024-08-21T10:00", tz="UTC"),
        pd.Timestamp("2024-08-22T10:00:30", tz="UTC"),
    ]
    assert read.table["date"].tolist() == ["2024-08-19", "2024-08-21", "2024-08-22"]
    assert read.table["time_known"].all()
    assert read.table["microcystin"].fillna(-1).tolist() == [0.3, 4.0, -1.0]
    assert read.table["microcystin_below_detection"].tolist() == [True, False, False]
    assert read.problems["why"].tolist() == [cells.NO_LIMIT]  # another laboratory's limit is not known
    assert len(surface_samples(read)) == 3  # no category column: all are surface


def test_plain_layout_with_local_dates(make_file: MakeFile) -> None:
    path = make_file(
        "station,date,time,timezone,microcystin,category",
        ["Zürich,2024-08-19,9:30,Europe/Zurich,1,Surface", "Zürich,2024-08-20,,Europe/Zurich,2,scum"],
        encoding="utf-8",
    )
    table = read_labels(path).table
    assert table["station"].tolist() == ["Zürich", "Zürich"]
    assert table["time"].dt.strftime("%Y-%m-%dT%H:%M").tolist() == ["2024-08-19T07:30", "2024-08-20T10:00"]
    assert table["time_known"].tolist() == [True, False]
    assert table["category"].tolist() == ["surface", "scum"]


def test_a_timezone_beside_complete_moments_decides_the_date(make_file: MakeFile) -> None:
    path = make_file(
        "station,time,timezone,microcystin", ["Pier,2024-08-20T02:30Z,America/New_York,1"], encoding="utf-8"
    )
    row = read_labels(path).table.loc[0]
    assert row["date"] == "2024-08-19"
    assert row["time"] == pd.Timestamp("2024-08-20T02:30", tz="UTC")


def test_columns_nobody_reads_are_reported(make_file: MakeFile) -> None:
    read = read_labels(make_file("station,time,microcystin,chlorophyl", ["Pier,2024-08-20T02:30Z,1,7"]))
    assert read.problems[["line", "column", "why"]].to_numpy().tolist() == [
        [1, "chlorophyl", labels.NOT_READ]
    ]
    assert read.n_dropped == 0


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("station,microcystin", "Pier,1", r"line 1, column 'time': wanted a column 'time' \(ISO 8601"),
        ("station,date,microcystin", "Pier,2024-08-20,1", "line 1, column 'time': wanted"),
        (
            "station,time,microcystin",
            "Pier,2024-08-20T10:00,1",
            "line 2, column 'time': wanted ISO 8601 with an",
        ),
        ("station,time,microcystin", "Pier,2024-13-45T10:00Z,1", "line 2, column 'time': .*no such time"),
        (
            "station,time,microcystin",
            "Pier,0224-08-20T10:00Z,1",
            "line 2, column 'time': .*Is the year 224 meant",
        ),
        ("station,time,microcystin", "Pier,10:30,1", "line 2, column 'time': wanted ISO 8601"),
        (
            "station,date,timezone,microcystin",
            "Pier,8/20/2024,UTC,1",
            "line 2, column 'date': .*year-month-day",
        ),
        ("station,date,timezone,microcystin", "Pier,2024-08-20,Mars,1", "line 2, column 'timezone': .*IANA"),
        ("station,date,timezone,microcystin", "Pier,2024-08-20,,1", "line 2, column 'timezone': .*IANA"),
        (
            "station,date,timezone,microcystin",
            "Pier,2024-08-20,America,1",
            "line 2, column 'timezone': .*IANA",
        ),
        ("station,time,microcystin", "Pier,2024-08-20T10:00Z,-1", "line 2, column 'microcystin': .*'-1'"),
    ],
)
def test_plain_layout_errors_say_where(make_file: MakeFile, header: str, row: str, message: str) -> None:
    with pytest.raises(LabelError, match=f"record.csv, {message}"):
        read_labels(make_file(header, [row]))


def test_plain_layout_is_utf8_only(make_file: MakeFile) -> None:
    rows = ["Pier,2024-08-20T10:00Z,1", "Zürich,2024-08-20T10:00Z,1"]
    with pytest.raises(LabelError, match="line 3: wanted UTF-8"):
        read_labels(make_file("station,time,microcystin", rows, encoding="latin-1"))


@pytest.fixture(scope="module")
def erie(lake_erie: Path) -> Labels:
    return read_labels(lake_erie / "glerl")


def test_real_record_has_every_row(erie: Labels) -> None:
    # lines of each file less its header, and `cut | sort | uniq -c` of the category column
    assert erie.table["date"].str[:4].value_counts().loc[["2019", "2022", "2024"]].tolist() == [219, 233, 236]
    assert len(erie.table) == 1244 + 219 + 413 + 233 + 236
    categories = erie.table["category"].value_counts().to_dict()
    assert categories == {"surface": 1599, "bottom": 664, "scum": 63, "mid-column": 19}
    assert len(surface_samples(erie)) == 1599  # none of them deeper than 2 m
    assert tuple(erie.table.columns) == labels.TABLE_COLUMNS


def test_real_record_counts_what_is_below_detection(erie: Labels) -> None:
    # cells that read bdl or <x, file by file in the order of the years
    below = {name: int(erie.table[f"{name}_below_detection"].sum()) for name in layouts.QUANTITIES}
    assert below == {
        "microcystin": 420 + 108 + 162 + 89 + 98,
        "dissolved_microcystin": 410 + 144 + 137 + 32 + 94,
        "phycocyanin": 34 + 0 + 8 + 9 + 5,
        "chlorophyll": 0,
        "turbidity": 0,
        "cdom": 0,
        "suspended_solids": 0,
    }
    missing = {name: int(erie.table[name].isna().sum()) for name in layouts.QUANTITIES}
    assert missing["microcystin"] == 19 + 7 + 0 + 1 + 0 + 1  # blanks, and the value that is no number
    assert missing["dissolved_microcystin"] == 252 + 7 + 1 + 1 + 0
    assert missing["phycocyanin"] == 4 + 15 + 0 + 10 + 0
    assert missing["chlorophyll"] == 5 + 4
    assert missing["turbidity"] == 424 + 79 + 141 + 82 + 84
    assert erie.table.loc[erie.table["phycocyanin_below_detection"], "phycocyanin"].max() == 40
    assert erie.table["phycocyanin"][erie.table["phycocyanin_below_detection"]].min() == 0.03


def test_real_record_reports_its_one_unreadable_value(erie: Labels) -> None:
    assert erie.problems.to_dict("records") == [
        {
            "file": "lake_erie_habs_field_sampling_results_2012_2018.csv",
            "line": 412,
            "column": "Particulate Microcystin (µg/L)",
            "value": "2778.75 ± 294",
            "why": cells.UNREADABLE,
        }
    ]
    scum = erie.table[(erie.table["line"] == 412) & (erie.table["date"] == "2015-08-10")]
    assert scum[["phycocyanin", "dissolved_microcystin"]].to_numpy().tolist() == [[272716.32, 3.4]]


def test_real_record_knows_summer_and_winter_time(erie: Labels) -> None:
    table = erie.table
    first = table[(table["station"] == "WE2") & (table["date"] == "2024-04-24") & table["time_known"]]
    assert first["time"].tolist() == [pd.Timestamp("2024-04-24T18:21", tz="UTC")]  # 14:21 there
    late = table[(table["station"] == "WE2") & (table["date"] == "2014-11-03") & table["time_known"]]
    assert late["time"].tolist() == [pd.Timestamp("2014-11-03T15:56", tz="UTC")]  # 10:56 there
    assert int((~table["time_known"]).sum()) == 363 + 77 + 141 + 81 + 83


def test_real_positions_are_not_moved_by_mistyped_ones(erie: Labels) -> None:
    positions = station_positions(erie)
    assert erie.table.loc[erie.table["station"] == "WE2", "latitude"].min() < 41.1  # the trap is there
    assert erie.table.loc[erie.table["station"] == "WE13", "longitude"].max() > -82
    assert positions.loc["WE2", "latitude"] == pytest.approx(41.762, abs=0.003)
    assert positions.loc["WE2", "longitude"] == pytest.approx(-83.330, abs=0.003)
    assert positions.loc["WE13", "longitude"] == pytest.approx(-83.136, abs=0.003)


def test_real_units_agree_between_layouts(erie: Labels) -> None:
    # the layout of 2020-2022 states no units: medians of a year would be off by 1000 in mg/L
    year = erie.table["date"].str[:4]
    for name in layouts.QUANTITIES:
        medians = erie.table[name].groupby(year).median().dropna()
        assert medians.max() / medians.min() < 20, name
