"""Files of rules: what is read, what is refused, and that no secret is ever repeated."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectm.apps.alerts.receivers import Mail, Secret, Webhook
from spectm.apps.alerts.rules import Area, RuleBook, read_rules
from spectm.apps.places import Station
from spectm.errors import AlertError

PIER = Station(name="Pier", latitude=41.9813, longitude=-83.4688)
RULE = """
[rules.pier]
station = "Pier"
threshold = 8.0
probability = 0.5
receivers = []
"""
SECRET = "hunter2-Zx81q"


def read(folder: Path, text: str) -> RuleBook:
    (folder / "alerts.toml").write_text(text, encoding="utf-8")
    return read_rules(folder / "alerts.toml", [PIER])


def hook(lines: str) -> str:
    return f"{RULE}\n[receivers.desk]\n{lines}\n"


def post(lines: str = "", **changes: str) -> str:
    values = {"host": '"smtp.example.org"', "from": '"a@example.org"', "to": '["b@example.org"]', **changes}
    return hook("\n".join([*(f"{key} = {value}" for key, value in values.items()), lines]))


def test_everything_is_read(tmp_path: Path) -> None:
    ring = [[-83.5, 41.9], [-83.4, 41.9], [-83.4, 42.0], [-83.5, 41.9]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    collection = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "bay.geojson").write_text(json.dumps(collection), encoding="utf-8")
    (tmp_path / "ca.pem").write_text("x", encoding="utf-8")
    book = read(
        tmp_path,
        """
[rules.pier]
station = "Pier"
profile = "epa-2019"
threshold = "recreation"
probability = 0.4
horizons = [8, 0]
oldest_pixels = 5
stale_after = 16
repeat_after = 0
receivers = ["desk", "duty"]
[rules."by numbers"]
latitude = 41.7
longitude = -83.2
threshold = 1
probability = 1
horizons = [8]
receivers = []
[rules.bay]
polygon = "bay.geojson"
threshold = 8
probability = 0.5
min_coverage = 0.25
receivers = []
[rules.drawn]
polygon = [[-83.5, 41.9], [-83.4, 41.9], [-83.4, 42.0]]
threshold = 8
probability = 0.5
receivers = []
[receivers.desk]
url = "https://alerts.example.org:8443/in/{env:DESK_PATH}?lake=erie"
headers = { Authorization = "env:DESK" }
timeout = 3
ca_file = "ca.pem"
[receivers.duty]
host = "smtp.example.org"
user = "alerts"
password = "env:SMTP"
from = "alerts@example.org"
to = ["a@example.org", "b@example.org"]
""",
    )
    pier, numbers, bay, drawn = book.rules
    assert (pier.name, pier.place, pier.asked.value, pier.asked.medium) == ("pier", PIER, 8.0, "recreational")
    assert (pier.horizons, pier.oldest_pixels, pier.stale_after, pier.repeat_after) == ((0.0, 8.0), 5, 16, 0)
    assert pier.receivers == ("desk", "duty")
    assert (numbers.horizons, numbers.asked.value, numbers.probability) == ((8.0,), 1.0, 1.0)
    assert numbers.place == Station(name="by numbers", latitude=41.7, longitude=-83.2)
    assert isinstance(bay.place, Area)
    assert isinstance(drawn.place, Area)
    assert (bay.min_coverage, len(bay.place.polygon.rings[0])) == (0.25, 4)
    assert book.receivers["desk"] == Webhook(
        name="desk",
        host="alerts.example.org",
        port=8443,
        secure=True,
        path="/in/{env:DESK_PATH}?lake=erie",
        headers=(("Authorization", Secret("DESK")),),
        timeout=3.0,
        ca_file=tmp_path / "ca.pem",
    )
    assert book.receivers["duty"] == Mail(
        name="duty",
        host="smtp.example.org",
        port=587,
        security="starttls",
        user="alerts",
        password=Secret("SMTP"),
        sender="alerts@example.org",
        to=("a@example.org", "b@example.org"),
    )


WITH = "[rules.x]\nthreshold = 8\nprobability = 0.5\nreceivers = []\n"

BAD_RULES = [
    ("", "wanted at least one rule"),
    ("rules = 3", "wanted rules, sections such as"),
    ("[rule.x]", "unknown key 'rule'. Did you mean 'rules'"),
    ("x =", "wanted rules in TOML"),
    ("[rules.x]\nstation = 'Pier'\ntreshold = 8", "unknown key 'treshold'. Did you mean 'threshold'"),
    (f'[rules."{"x" * 81}"]', "wanted names of rules of 1 to 80"),
    ('[rules."a\\u001b"]', "wanted names of rules"),
    (WITH, "wanted one place.*found none"),
    (f"{WITH}station = 'Pier'\npolygon = 'x'", "wanted one place.*station and polygon"),
    (f"{WITH}latitude = 41", "wanted one place.*found latitude"),
    (f"{WITH}station = 'Peir'", "none of that name. Did you mean Pier"),
    (f"{WITH}latitude = 141\nlongitude = 3", "wanted latitude, degrees north.*found 141"),
    (f"{WITH}latitude = 41\nlongitude = -183", "wanted longitude, degrees east"),
    (f"{WITH}latitude = nan\nlongitude = 1", "wanted latitude"),
    (f"{WITH}polygon = 'gone.geojson'", "gone.geojson.*could not read it"),
    (f"{WITH}polygon = [[1, 2], [3, 4]]", "wanted rings of at least three corners"),
    (f"{WITH}polygon = [[1, 200], [3, 4], [5, 6]]", "within 90 degrees"),
    (f"{WITH}polygon = {[[i / 1e4, i % 7] for i in range(10_001)]}", "wanted at most 10000 corners"),
    (f"{WITH}polygon = 3", "wanted a GeoJSON polygon"),
    (f"{WITH}station = 'Pier'\nmin_coverage = 0.5", "min_coverage is of polygons"),
    (f"{WITH}polygon = [[1, 2], [3, 4], [5, 7]]\nmin_coverage = 0", "wanted min_coverage"),
    (RULE.replace("8.0", "0"), "wanted threshold, ug/L.*found 0"),
    (RULE.replace("8.0", "inf"), "wanted threshold"),
    (RULE.replace("8.0", "'recreation'"), "wanted threshold"),
    (RULE + "profile = 'epa-2091'", "no threshold profile named 'epa-2091'"),
    (RULE + "profile = 'epa-2019'", "wanted threshold, one of epa-2019 by its name.*'recreation'"),
    (RULE.replace("0.5", "50"), "wanted probability, above 0 and at most 1.*found 50"),
    (RULE.replace("0.5", "true"), "wanted probability"),
    (RULE + "horizons = [4]", r"wanted horizons, \[0\], \[8\] or \[0, 8\]"),
    (RULE + "horizons = []", "wanted horizons"),
    (RULE + "horizons = [8, 8]", "wanted horizons"),
    (RULE + "repeat_after = -1", "wanted repeat_after"),
    (RULE + "oldest_pixels = 0", "wanted oldest_pixels"),
    (RULE + "stale_after = 'never'", "wanted stale_after"),
    (RULE.replace("[]", "['nobody']"), "wanted receivers of this file, found 'nobody'"),
    (RULE.replace("receivers = []", ""), "wanted receivers, a list.*found nothing"),
    (RULE.replace("[]", "['a', 'a']"), "wanted receivers, a list of different names"),
]


@pytest.mark.parametrize(
    ("text", "said"), BAD_RULES, ids=[f"{i} {one[1]}" for i, one in enumerate(BAD_RULES)]
)
def test_bad_rules_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AlertError, match=said) as caught:
        read(tmp_path, text)
    assert "alerts.toml" in str(caught.value)


BAD_RECEIVERS = [
    (hook("timeout = 3"), "wanted url for a webhook or host for mail, found neither"),
    (hook("url = 'https://a.b/'\nhost = 'c'"), "found both"),
    (hook("url = 'http://alerts.example.org/'"), "wanted url, https"),
    (hook("url = 'http://127.0.0.1.example.org/'"), "wanted url, https"),
    (hook("url = 'http://10.0.0.1/'"), "wanted url, https"),
    (hook("url = 'ftp://example.org/'"), "an address such as"),
    (hook("url = 'file:///etc/passwd'"), "an address such as"),
    (hook("url = 'https://'"), "an address such as"),
    (hook("url = 'https://exa mple.org/'"), "an address such as"),
    (hook("url = 'https://example.org:99999/'"), "a host and perhaps a port"),
    (hook("url = 'https://example.org/#x'"), "an address such as"),
    (hook("url = 'https://{env:HOST}/x'"), "a host and perhaps a port|Only its path"),
    (hook("url = 'https://example.org/{HOME}'"), "variables written as"),
    (hook(f"url = 'https://user:{SECRET}@example.org/'"), "without user and password"),
    (hook("url = 'https://h.example.org/T0/B0/aB3dE5gH7jK9mN1pQ3sT5vX7'"), "seems to hold a secret"),
    (hook("url = 'https://h.example.org/123e4567-e89b-12d3-a456-426614174000'"), "seems to hold a secret"),
    (hook("url = 'https://h.example.org/x?token=abc'"), "seems to hold a secret"),
    (hook(f"url = 'https://a.b/'\ntoken = '{SECRET}'"), "unknown key 'token'"),
    (
        hook(f"url = 'https://a.b/'\nheaders = {{ Authorization = 'Bearer {SECRET}' }}"),
        "seems to be written out",
    ),
    (hook(f"url = 'https://a.b/'\nheaders = '{SECRET}'"), "wanted headers, a table"),
    (
        hook("url = 'https://a.b/'\nheaders = { Host = 'env:X' }"),
        "headers that are free to use, found 'Host'",
    ),
    (hook("url = 'https://a.b/'\nheaders = { 'a\\nb' = 'env:X' }"), "headers that are free"),
    (hook("url = 'https://a.b/'\ntimeout = 0"), "wanted timeout, seconds"),
    (hook("url = 'https://a.b/'\ntimeout = 600"), "wanted timeout"),
    (hook("url = 'https://a.b/'\nca_file = 'gone.pem'"), "wanted a file of certificates"),
    (hook("url = 'https://a.b/'\nverify = false"), "unknown key 'verify'"),
    (post(host='"smtp example"'), "wanted host"),
    (post("security = 'none'"), "wanted security"),
    (post("security = 'ssl'"), "wanted security, starttls or tls"),
    (post("port = 70000"), "wanted port"),
    (post("user = 'alerts'"), "wanted user and password, or neither"),
    (post(f"user = 'alerts'\npassword = '{SECRET}'"), "password seems to be written out"),
    (post("user = 'alerts'\npassword = 3"), "password seems to be written out"),
    (post(to="[]"), "wanted to"),
    (post(to='["b"]'), "wanted to, plain addresses"),
    (post(to='["b@example.org, c@example.org"]'), "wanted to, plain addresses"),
    (post(to='["b@example.org\\nBcc: x@y.z"]'), "wanted to"),
    (post(**{"from": '"Alerts <a@example.org>"'}), "wanted from, plain addresses"),
    (RULE + "[receivers]\ndesk = 3", "wanted a section"),
]


@pytest.mark.parametrize(
    ("text", "said"), BAD_RECEIVERS, ids=[f"{i} {one[1]}" for i, one in enumerate(BAD_RECEIVERS)]
)
def test_bad_receivers_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AlertError, match=said) as caught:
        read(tmp_path, text)
    assert SECRET not in str(caught.value)
    assert "aB3dE5" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_needs_no_tls(tmp_path: Path, host: str) -> None:
    book = read(tmp_path, hook(f"url = 'http://{host}:8080/alerts-2024-lake-erie/v1'"))
    assert not book.receivers["desk"].secure  # type: ignore[union-attr]


word = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=30)


@settings(max_examples=60)
@given(
    secret=word, key=st.sampled_from(["password", "Authorization", "token", "url", "user", "to", "timeout"])
)
def test_no_error_repeats_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, secret: str, key: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    value = f"{secret} "  # never a right value
    text = post(f"user = 'alerts'\n{key} = '{value}'" if key != "user" else f"user = '{value}'")
    if key in ("Authorization", "url", "token", "timeout"):
        inner = (
            f"headers = {{ Authorization = '{value}' }}" if key == "Authorization" else f"{key} = '{value}'"
        )
        text = hook(f"url = 'https://a.b/'\n{inner}" if key != "url" else inner)
    if key == "to":
        text = post(to=f'"{value}"')
    with pytest.raises(AlertError) as caught:
        read(folder, text)
    # Words of our own may hold a short text by chance, not one of eight letters that nobody chose.
    assert secret not in str(caught.value).replace(str(folder), "")


def test_secrets_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK", SECRET)
    assert Secret("DESK").value() == SECRET
    assert SECRET not in repr(Secret("DESK"))
    for bad in (f"{SECRET}\n", f" {SECRET}", f"{SECRET}\r\nX: y", f"{SECRET}é"):
        monkeypatch.setenv("DESK", bad)
        with pytest.raises(AlertError, match="not shown") as caught:
            Secret("DESK").value()
        assert SECRET not in str(caught.value)
    monkeypatch.delenv("DESK")
    with pytest.raises(AlertError, match="DESK is not set"):
        Secret("DESK").value()
