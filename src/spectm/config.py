"""TOML to frozen dataclasses and back; an unknown key is an error that suggests the nearest one."""

import dataclasses
import difflib
import tomllib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import tomli_w

from spectm.errors import ConfigError

__all__ = ["changed", "from_mapping", "read_settings", "to_toml"]

T = TypeVar("T")


def read_settings(kind: type[T], path: Path | None, overrides: Sequence[str] = ()) -> T:
    """Settings from a TOML file, with ``section.key=value`` overrides on top.

    Parameters
    ----------
    kind : type
        A frozen dataclass, possibly of dataclasses; its defaults are the settings of an empty file.
    path : Path or None
        The file; None uses the defaults.
    overrides : sequence of str
        Such as ``"masking.strategy=random"``; values are TOML, and a bare word is a string.

    Raises
    ------
    ConfigError
        On an unreadable file, an unknown key, or a value of the wrong type, with the place and the nearest
        key.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"can't read settings from {path}: {error}") from error
    _override(values, overrides)
    return from_mapping(kind, values, where=str(path) if path else "settings")


def changed(settings: T, overrides: Sequence[str]) -> T:
    """The same settings with ``section.key=value`` overrides on top.

    Raises
    ------
    ConfigError
        On an unknown key or a value of the wrong type.
    """
    values: dict[str, Any] = {}
    _override(values, overrides)
    return from_mapping(type(settings), values, base=settings)


def from_mapping(
    kind: type[T], values: Mapping[str, Any], *, where: str = "settings", base: T | None = None
) -> T:
    """A dataclass from plain values, checked key by key and type by type.

    What is not given is taken from `base`, else from the defaults of `kind`: a section may have other
    defaults than its class, as ``finetuning.loop`` has.

    Raises
    ------
    ConfigError
        On an unknown key or a value of the wrong type; `where` names the place.
    """
    hints = get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    start = kind() if base is None else base
    checked = {
        key: _checked(hints[key], value, f"{where}: {key}", getattr(start, key))
        for key, value in values.items()
    }
    return dataclasses.replace(start, **checked)  # type: ignore[type-var]


def to_toml(settings: Any) -> str:
    """Every setting, defaults included, as TOML that `read_settings` reads back."""
    return tomli_w.dumps(_without_none(dataclasses.asdict(settings)))


def _without_none(value: Any) -> Any:
    """TOML has no null: a setting that is None is left out, and reads back as its default."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return list(value) if isinstance(value, tuple) else value


def _override(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Put what ``section.key=value`` says among the values of a file."""
    for text in overrides:
        key, found, value = text.partition("=")
        if not found:
            raise ConfigError(
                f"an override looks like section.key=value, such as masking.guard_nm=5; found {text!r}"
            )
        _put(values, key.strip().split("."), _toml_value(value.strip()), text)


def _put(values: dict[str, Any], keys: list[str], value: Any, text: str) -> None:
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {text!r}: {key!r} holds a value, not a section")
        values = inner
    values[keys[-1]] = value


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(hint: Any, value: Any, where: str, default: Any = None) -> Any:
    """`value` as the type `hint`, or an error that names both."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in get_args(hint):
            return None
        inner = [option for option in get_args(hint) if option is not types.NoneType]
        return _checked(inner[0], value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(
                f"{where}: wanted one of {', '.join(map(repr, get_args(hint)))}; found {value!r}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: wanted a list; found {value!r}")
        return tuple(_checked(get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: wanted a section; found {value!r}")
        return from_mapping(cast("type[Any]", hint), value, where=where, base=default)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: wanted {hint.__name__}; found {value!r}")
    return value
