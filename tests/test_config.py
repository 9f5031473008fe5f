import tomllib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

from spectm.config import from_mapping, read_settings, to_toml
from spectm.errors import ConfigError, MaskError, SpectmError
from spectm.model.encoder import EncoderConfig
from spectm.model.masking import MaskingConfig
from spectm.model.preprocess import PreprocessConfig
from spectm.model.spectm import ObjectiveConfig
from spectm.training.loop import LoopConfig
from spectm.training.settings import FinetuneConfig, IndicesConfig, PretrainConfig, Settings, WindowsConfig

# Every setting differs from its default.
LOOP = LoopConfig(
    steps=7,
    batch_size=3,
    learning_rate=3e-4,
    warmup_share=0.25,
    weight_decay=0.125,
    clip_norm=2.5,
    validate_every=2,
    patience=9,
    checkpoint_every=4,
)
OTHER = Settings(
    windows=WindowsConfig(set="snow-minerals", ranges=("615-640", "660.5-680"), half_width_nm=4.0),
    indices=IndicesConfig(built_in=False, own=("edge = r750 / r705",)),
    masking=MaskingConfig(strategy="mixed", guard_nm=5.0, mask_share=0.5, bands_per_token=2),
    preprocess=PreprocessConfig(shape=True, slope=False, smoothing_nm=7.5, spread=True),
    encoder=EncoderConfig(width=48, depth=3, heads=6, mlp_ratio=3.0),
    objective=ObjectiveConfig(reconstruction=0.5, indices=0.25, temporal=0.0, learned_weights=False),
    pretraining=PretrainConfig(loop=LOOP, validation_share=0.3),
    finetuning=FinetuneConfig(loop=LOOP, validation_share=0.25, encoder_rate=0.0),
)


def saved(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def leaves(values: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for key, value in values.items():
        flat |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_this_file_covers_every_setting() -> None:
    usual, other = leaves(asdict(Settings())), leaves(asdict(OTHER))
    assert usual.keys() == other.keys()
    assert [key for key in usual if usual[key] == other[key]] == []


@pytest.mark.parametrize("settings", [Settings(), OTHER], ids=["usual", "other"])
def test_settings_round_trip(tmp_path: Path, settings: Settings) -> None:
    text = to_toml(settings)
    found = read_settings(Settings, saved(tmp_path, text))
    assert found == settings
    assert to_toml(found) == text
    assert leaves(tomllib.loads(text)).keys() == leaves(asdict(settings)).keys()  # defaults are written too


def test_an_empty_file_and_no_file_are_the_defaults(tmp_path: Path) -> None:
    assert read_settings(Settings, saved(tmp_path, "")) == read_settings(Settings, None) == Settings()


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        '[windows]\nranges = ["615-640"]\n[masking]\nguard_nm = 5\n[pretraining]\nvalidation_share = 0.5\n'
        "[pretraining.loop]\nsteps = 9\n",
    )
    found = read_settings(Settings, path)
    assert found.masking == MaskingConfig(guard_nm=5.0)
    assert isinstance(found.masking.guard_nm, float)  # from the integer 5
    assert found.windows.ranges == ("615-640",)
    assert found.pretraining == PretrainConfig(loop=LoopConfig(steps=9), validation_share=0.5)
    assert found.finetuning == FinetuneConfig()


def test_overrides_go_on_top_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, "[masking]\nguard_nm = 5\nmask_share = 0.5\n")
    found = read_settings(
        Settings,
        path,
        [
            "masking.guard_nm=2.5",
            "masking.strategy = random",
            'windows.set="snow-minerals"',
            "preprocess.shape=true",
            "pretraining.loop.steps=11",
            'windows.ranges=["700-710", "720-730"]',
            "pretraining.loop.steps=12",
        ],
    )
    assert found.masking == MaskingConfig(strategy="random", guard_nm=2.5, mask_share=0.5)
    assert found.windows == WindowsConfig(set="snow-minerals", ranges=("700-710", "720-730"))
    assert found.preprocess.shape is True
    assert found.pretraining.loop.steps == 12  # the last one holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[maskng]\nguard_nm = 5", r"settings\.toml: unknown key 'maskng'; did you mean 'masking'\?"),
        ("[masking]\nguard = 5", r"settings\.toml: masking: unknown key 'guard'; did you mean 'guard_nm'\?"),
        ("[encoder]\nzzz = 5", "encoder: unknown key 'zzz'; known are depth, heads, mlp_ratio, width"),
        ("[pretraining.loop]\nstep = 5", "pretraining: loop: unknown key 'step'; did you mean 'steps'"),
        ("[encoder]\nwidth = 6.5", r"encoder: width: wanted int; found 6\.5"),
        ("[encoder]\nwidth = true", "encoder: width: wanted int; found True"),
        ("[encoder]\nwidth = '64'", "encoder: width: wanted int; found '64'"),
        ("[masking]\nguard_nm = true", "masking: guard_nm: wanted float; found True"),
        ("[masking]\nguard_nm = 'wide'", "masking: guard_nm: wanted float; found 'wide'"),
        ("[preprocess]\nshape = 1", "preprocess: shape: wanted bool; found 1"),
        ("[windows]\nset = 5", "windows: set: wanted str; found 5"),
        ("[windows]\nranges = '615-640'", "windows: ranges: wanted a list; found '615-640'"),
        ("[windows]\nranges = [615]", "windows: ranges: wanted str; found 615"),
        ("masking = 5", "masking: wanted a section; found 5"),
        (
            "[masking]\nstrategy = 'windows'",
            "strategy: wanted one of 'targeted', 'random', .*found 'windows'",
        ),
    ],
)
def test_mistakes_name_the_place_and_the_way_out(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(Settings, saved(tmp_path, text))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("masking.guard_nm", r"an override looks like section\.key=value.*found 'masking\.guard_nm'"),
        ("masking.gard_nm=5", "masking: unknown key 'gard_nm'; did you mean 'guard_nm'"),
        ("masking=5", "masking: wanted a section; found 5"),
        (
            "masking.guard_nm.left=5",
            r"override 'masking\.guard_nm\.left=5': 'guard_nm' holds a value, not a sect",
        ),
        ("masking.guard_nm=", "guard_nm: wanted float; found ''"),
        ("masking.guard_nm=5 nm", "guard_nm: wanted float; found '5 nm'"),
    ],
)
def test_mistaken_overrides_are_explained(tmp_path: Path, override: str, message: str) -> None:
    path = saved(tmp_path, "[masking]\nguard_nm = 5\n")
    with pytest.raises(ConfigError, match=message):
        read_settings(Settings, path, [override])


def test_values_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="guard_nm=-1"):
        read_settings(Settings, saved(tmp_path, "[masking]\nguard_nm = -1"))


def test_files_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    assert issubclass(ConfigError, SpectmError)
    assert issubclass(ConfigError, ValueError)
    for path in (tmp_path / "missing.toml", tmp_path, saved(tmp_path, "[masking\n")):
        with pytest.raises(ConfigError, match=f"can't read settings from {path}: "):
            read_settings(Settings, path)
    path.write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match="can't read settings from"):
        read_settings(Settings, path)


@dataclass(frozen=True, kw_only=True)
class Inner:
    limit: float | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    mode: Literal["a", "b"] = "a"


def test_optional_settings(tmp_path: Path) -> None:
    assert to_toml(Outer()) == 'mode = "a"\n\n[inner]\nnames = []\n'  # TOML has no null
    assert read_settings(Outer, saved(tmp_path, to_toml(Outer()))) == Outer()
    found = from_mapping(Outer, {"inner": {"limit": 3, "names": ["x"]}, "mode": "b"})
    assert found == Outer(inner=Inner(limit=3.0, names=("x",)), mode="b")
    assert from_mapping(Outer, {"inner": {"limit": None}}) == Outer()
    with pytest.raises(ConfigError, match="here: inner: limit: wanted float; found 'x'"):
        from_mapping(Outer, {"inner": {"limit": "x"}}, where="here")


def test_windows_come_from_a_name_or_from_ranges() -> None:
    assert [w.low_nm for w in WindowsConfig(half_width_nm=4.0).window_set().windows] == [615, 660, 695]
    assert WindowsConfig(half_width_nm=4.0).window_set().half_width_nm == 4
    mine = WindowsConfig(ranges=("615-640", "660.5 - 680")).window_set()
    assert [(w.low_nm, w.high_nm) for w in mine.windows] == [(615, 640), (660.5, 680)]
    for text in ("615", "615-640-660", "a-b", "615:640"):
        with pytest.raises(ConfigError, match=f"a window is a range in nm such as '615-640'; found '{text}'"):
            WindowsConfig(ranges=(text,)).window_set()


def test_an_override_keeps_the_rest_of_its_section() -> None:
    """`finetuning.loop` has defaults of its own, which are not those of LoopConfig."""
    changed = read_settings(Settings, None, ["finetuning.loop.steps=5"]).finetuning.loop
    assert changed == replace(FinetuneConfig().loop, steps=5)
    assert changed.learning_rate != LoopConfig().learning_rate
