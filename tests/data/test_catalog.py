from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from spectm.data.catalog.retries import wait_s
from spectm.data.catalog.search import PRODUCTS, Found, named_product, scene, search, totals
from spectm.data.regions import Region, parse_region
from spectm.errors import FetchError
from tests.data.archive import CATALOGUE, Archive, Fault, running_archive

ERIE = parse_region("lake-erie-west")
AUGUST = (date(2024, 8, 1), date(2024, 8, 31))
L2 = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.nc"
NRT = "PACE_OCI.20240804T175305.L2.OC_AOP.V3_0.NRT.nc"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    with running_archive(tmp_path, monkeypatch) as archive:
        yield archive


def names(found: list[Found]) -> list[str]:
    return [file.name for file in found]


# Products


def test_products_by_name() -> None:
    assert {"l2-aop", "l2-aop-nrt", "l3m-rrs-8d", "l3m-rrs-day", "l3m-sfrefl-8d"} <= set(PRODUCTS)
    assert named_product("l2-aop").short_names == ("PACE_OCI_L2_AOP",)
    assert named_product("l2-aop-nrt").final == "l2-aop"
    assert named_product("l3m-sfrefl-day-0p1deg").contains[0] == "rhos"


def test_an_unknown_product_gets_a_suggestion() -> None:
    with pytest.raises(FetchError, match=r"found 'l3m-rss-8d'. Did you mean l3m-rrs-8d\?"):
        named_product("l3m-rss-8d")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (L2, NRT),
        (L2, "PACE_OCI.20240804T175305.L2.OC_AOP.V3_2.nc"),
        (
            "PACE_OCI.20240609_20240616.L3m.8D.RRS.V3_1.Rrs.4km.nc",
            "PACE_OCI.20240609_20240616.L3m.8D.AOP.V3_2.4km.nc",
        ),
        ("PACE_OCI.20250701.L3m.DAY.AOP.V3_2.4km.NRT.nc", "PACE_OCI.20250701.L3m.DAY.AOP.V3_2.4km.nc"),
    ],
)
def test_one_scene(one: str, other: str) -> None:
    assert scene(one) == scene(other)


@pytest.mark.parametrize(
    "other",
    [
        "PACE_OCI.20240609_20240616.L3m.8D.RRS.V3_1.Rrs.0p1deg.nc",
        "PACE_OCI.20240609_20240616.L3m.8D.SFREFL.V3_1.rhos.4km.nc",
        "PACE_OCI.20240617_20240624.L3m.8D.RRS.V3_1.Rrs.4km.nc",
        "PACE_OCI.20240609_20240616.L3m.R32.RRS.V3_1.Rrs.4km.nc",
        "something.nc",
    ],
)
def test_other_scenes(other: str) -> None:
    assert scene("PACE_OCI.20240609_20240616.L3m.8D.RRS.V3_1.Rrs.4km.nc") != scene(other)


# Searching


@pytest.mark.slow
def test_a_file_as_the_catalogue_describes_it(archive: Archive) -> None:
    archive.add(L2, cloud_percent=12.5, body=b"12345")
    (found,) = search("l2-aop", ERIE, *AUGUST)
    assert found == Found(
        name=L2,
        url=f"https://obdaac-tea.earthdatacloud.nasa.gov/ob-cumulus-prod-public/{L2}",
        product="l2-aop",
        short_name="PACE_OCI_L2_AOP",
        version="3.0",
        near_real_time=False,
        start="2024-08-04T17:53:05Z",
        size_bytes=5,
        about_bytes=5,
        checksum_algorithm="MD5",
        checksum="827ccb0eea8a706c4c34a16891f84e7b",
        cloud_percent=12.5,
    )


def test_a_record_with_little_in_it(archive: Archive) -> None:
    archive.add(L2, size=None, checksum=None, cloud_percent=None)
    (found,) = search("l2-aop", ERIE, *AUGUST)
    assert (found.size_bytes, found.about_bytes) == (None, 300_000)  # 0.3 MB
    assert (found.checksum, found.cloud_percent) == (None, None)


def test_the_search_sends_no_credentials(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login somebody password anything\n")
    (tmp_path / "netrc").chmod(0o600)
    archive.add(L2)
    search("l2-aop", ERIE, *AUGUST)
    assert all("Authorization" not in request.headers for request in archive.requests)
    assert {request.host for request in archive.requests} == {CATALOGUE}


def test_region_and_period_limit_the_search(archive: Archive) -> None:
    archive.add(L2)
    archive.add("PACE_OCI.20240804T010000.L2.OC_AOP.V3_0.nc", box=(100, 0, 120, 10))
    last = archive.add("PACE_OCI.20240831T235900.L2.OC_AOP.V3_0.nc", start="2024-08-31T23:59:00Z")
    archive.add("PACE_OCI.20240901T000100.L2.OC_AOP.V3_0.nc", start="2024-09-01T00:01:00Z")
    assert names(search("l2-aop", ERIE, *AUGUST)) == [L2, last.name]  # the end is included


def test_a_region_across_the_date_line_is_asked_for_in_two_halves(archive: Archive) -> None:
    fiji = Region(name="fiji", west=176, south=-20, east=-178, north=-15)
    west = archive.add("PACE_OCI.20240804T010000.L2.OC_AOP.V3_0.nc", box=(160, -30, 177, -10))
    east = archive.add("PACE_OCI.20240804T020000.L2.OC_AOP.V3_0.nc", box=(-179, -30, -160, -10))
    both = archive.add("PACE_OCI.20240804T030000.L2.OC_AOP.V3_0.nc", box=(-180, -30, 180, -10))
    archive.add(L2, box=(0, -30, 100, 10))  # what the box with its sides swapped would find
    assert names(search("l2-aop", fiji, *AUGUST)) == [west.name, east.name, both.name]


@pytest.mark.parametrize(("limit", "n_found"), [(40, 1), (39.5, 0), (0, 0), (None, 2)])
def test_the_cloud_limit(archive: Archive, limit: float | None, n_found: int) -> None:
    archive.add(L2, cloud_percent=40)
    archive.add("PACE_OCI.20240805T175305.L2.OC_AOP.V3_0.nc", cloud_percent=None)
    if n_found:
        assert len(search("l2-aop", ERIE, *AUGUST, cloud_max=limit)) == n_found
    else:
        with pytest.raises(FetchError, match="without --cloud-max, as granules without that number"):
            search("l2-aop", ERIE, *AUGUST, cloud_max=limit)


def test_a_cloud_limit_of_zero_is_one(archive: Archive) -> None:
    clear = archive.add(L2, cloud_percent=0)
    archive.add("PACE_OCI.20240805T175305.L2.OC_AOP.V3_0.nc", cloud_percent=1)
    assert names(search("l2-aop", ERIE, *AUGUST, cloud_max=0)) == [clear.name]


def test_the_newest_version_of_each_scene_unless_another_is_asked_for(archive: Archive) -> None:
    for version in ("V3_2", "V3_10", "V3_0"):
        archive.add(f"PACE_OCI.20240804T175305.L2.OC_AOP.{version}.nc")
    old = archive.add("PACE_OCI.20240805T175305.L2.OC_AOP.V3_0.nc")
    found = search("l2-aop", ERIE, *AUGUST)
    assert sorted(names(found)) == ["PACE_OCI.20240804T175305.L2.OC_AOP.V3_10.nc", old.name]
    assert {file.version for file in search("l2-aop", ERIE, *AUGUST, version="3.0")} == {"3.0"}


def test_granules_listed_twice_are_found_once(archive: Archive) -> None:
    archive.add(L2)
    archive.add(L2)
    assert names(search("l2-aop", ERIE, *AUGUST)) == [L2]


@pytest.mark.slow
def test_every_page_of_a_long_answer(archive: Archive) -> None:
    """The client asks for 2,000 at a time."""
    for number in range(2001):
        archive.add(f"PACE_OCI.20240804T{number:06d}.L2.OC_AOP.V3_0.nc", body=b"")
    assert len(search("l2-aop", ERIE, *AUGUST)) == 2001
    assert [request.headers.get("cmr-search-after") for request in archive.requests] == [None, None, "2000"]


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("l3m-rrs-8d", "PACE_OCI.20240804_20240811.L3m.8D.RRS.V3_1.Rrs.4km.nc"),
        ("l3m-rrs-day", "PACE_OCI.20240804.L3m.DAY.RRS.V3_1.Rrs.4km.nc"),
        ("l3m-rrs-8d-0p1deg", "PACE_OCI.20240804_20240811.L3m.8D.RRS.V3_1.Rrs.0p1deg.nc"),
    ],
)
def test_level_3_is_chosen_by_period_and_resolution(archive: Archive, product: str, name: str) -> None:
    for period, stamp in (("8D", "20240804_20240811"), ("DAY", "20240804"), ("R32", "20240804_20240904")):
        for grid in ("4km", "0p1deg"):
            archive.add(
                f"PACE_OCI.{stamp}.L3m.{period}.RRS.V3_1.Rrs.{grid}.nc",
                short_name="PACE_OCI_L3M_RRS",
                box=(0, 0, 1, 1),
            )
    found = search(product, ERIE, *AUGUST)  # the region is no limit: every file holds the globe
    assert names(found) == [name]


def test_both_names_of_the_level_3_collection_are_searched(archive: Archive) -> None:
    """Version 3.2 came with another collection and other file names."""
    stamp = "PACE_OCI.20240804_20240811.L3m.8D"
    archive.add(f"{stamp}.RRS.V3_1.Rrs.4km.nc", short_name="PACE_OCI_L3M_RRS")
    new = archive.add(f"{stamp}.AOP.V3_2.4km.nc", short_name="PACE_OCI_L3M_AOP")
    only_old = archive.add(
        "PACE_OCI.20240812_20240819.L3m.8D.RRS.V3_1.Rrs.4km.nc",
        short_name="PACE_OCI_L3M_RRS",
        start="2024-08-12T00:00:00Z",
    )
    assert names(search("l3m-rrs-8d", ERIE, *AUGUST)) == [new.name, only_old.name]


def test_near_real_time_without_those_that_have_a_final_twin(archive: Archive) -> None:
    archive.add(NRT, short_name="PACE_OCI_L2_AOP_NRT")
    at_hand = archive.add("PACE_OCI.20240805T175305.L2.OC_AOP.V3_0.NRT.nc", short_name="PACE_OCI_L2_AOP_NRT")
    alone = archive.add("PACE_OCI.20240806T175305.L2.OC_AOP.V3_0.NRT.nc", short_name="PACE_OCI_L2_AOP_NRT")
    archive.add("PACE_OCI.20240804T175305.L2.OC_AOP.V3_1.nc")  # final, of a later version
    have = [at_hand.name.replace(".NRT", ""), alone.name]  # an NRT file at hand replaces nothing
    (found,) = search("l2-aop-nrt", ERIE, *AUGUST, at_hand=have)
    assert (found.name, found.near_real_time) == (alone.name, True)


def test_only_near_real_time_files_that_are_replaced(archive: Archive) -> None:
    archive.add(NRT, short_name="PACE_OCI_L2_AOP_NRT")
    archive.add(L2)
    with pytest.raises(FetchError, match=r"found 1 in the catalogue, all replaced.* Try --product l2-aop\."):
        search("l2-aop-nrt", ERIE, *AUGUST)


def test_no_result_says_what_was_asked_and_what_to_try(archive: Archive) -> None:
    with pytest.raises(FetchError) as refused:
        search("l2-aop", ERIE, *AUGUST)
    assert str(refused.value) == (
        "wanted files of l2-aop (PACE_OCI_L2_AOP) for lake-erie-west (-83.55,41.35,-82.4,42.1), 2024-08-01 "
        "to 2024-08-31, found none in the catalogue. Try a longer period, or a larger region "
        "(west,south,east,north), or --product l2-aop-nrt for the last weeks."
    )
    with pytest.raises(FetchError, match="PACE has data since 2024-03-05"):
        search("l2-aop", ERIE, date(2023, 8, 1), date(2023, 8, 31))
    with pytest.raises(FetchError, match=r"version 2.0\) .* Try without --version"):
        search("l2-aop", ERIE, *AUGUST, version="2.0")


@pytest.mark.parametrize(
    ("product", "period", "cloud", "message"),
    [
        ("l2-aop", AUGUST[::-1], None, "found the end 2024-08-01 before the start 2024-08-31"),
        ("l2-aop", AUGUST, 101, "from 0 to 100 percent, found 101"),
        ("l3m-rrs-8d", AUGUST, 50, "hold the whole globe. Leave --cloud-max out"),
    ],
)
def test_what_makes_no_sense_is_not_sent(
    archive: Archive, product: str, period: tuple[date, date], cloud: float | None, message: str
) -> None:
    with pytest.raises(FetchError, match=message):
        search(product, ERIE, *period, cloud_max=cloud)
    assert not archive.requests


def test_records_of_something_else_are_passed_over(archive: Archive) -> None:
    """A name becomes a path, so it has to be one of a PACE file."""
    archive.add("PACE_OCI_V3_0_readme.nc")
    archive.add(L2)
    assert names(search("l2-aop", ERIE, *AUGUST)) == [L2]


# Trouble with the catalogue


def test_a_busy_catalogue_is_asked_again(archive: Archive) -> None:
    archive.add(L2)
    archive.fail("catalogue", Fault(status=503), Fault(status=429, headers={"Retry-After": "9"}))
    waits: list[float] = []
    assert names(search("l2-aop", ERIE, *AUGUST, sleep=waits.append)) == [L2]
    assert waits == [1, 9]


def test_a_catalogue_that_stays_away(archive: Archive) -> None:
    archive.fail("catalogue", *[Fault(status=503)] * 9)
    waits: list[float] = []
    with pytest.raises(FetchError, match=r"found status 503 \(no\) after 5 requests"):
        search("l2-aop", ERIE, *AUGUST, sleep=waits.append)
    assert waits == [1, 2, 4, 8]


def test_a_request_that_the_catalogue_refuses_is_not_repeated(archive: Archive) -> None:
    archive.fail("catalogue", Fault(status=400, body=b'{"errors": ["no such box"]}'))
    with pytest.raises(
        FetchError, match=r"status 400 \({\"errors\": \[\"no such box\"\]}\) after 1 request\."
    ):
        search("l2-aop", ERIE, *AUGUST)


def test_a_certificate_that_is_not_trusted(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(FetchError, match=r"certificate that is not trusted \(REQUESTS_CA_BUNDLE"):
        search("l2-aop", ERIE, *AUGUST)
    assert not archive.requests


# Waiting


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("Sun, 04 Aug 2024 12:00:30 GMT", 30),
        ("Sun, 04 Aug 2024 11:00:00 GMT", 0),
        ("soon", 4),
        (None, 4),
    ],
)
def test_how_long_to_wait(retry_after: str | None, seconds: float) -> None:
    assert wait_s(3, retry_after, now=datetime(2024, 8, 4, 12, tzinfo=UTC)) == seconds


# The table


def test_totals_for_each_product_and_version() -> None:
    def file(version: str, size: int) -> Found:
        return Found(
            name=f"{version}-{size}",
            url="",
            product="l2-aop",
            short_name="",
            version=version,
            near_real_time=False,
            about_bytes=size,
        )

    old, new = totals([file("3.2", 10), file("3.1", 5), file("3.2", 0), file("3.2", 7)])
    assert (old.version, old.files, old.about_bytes, old.unknown) == ("3.1", 1, 5, 0)
    assert (new.version, new.files, new.about_bytes, new.unknown) == ("3.2", 3, 17, 1)
