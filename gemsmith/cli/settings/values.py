"""One value of one setting: read from text or taken from TOML, and checked; SettingError says what was wanted."""

from __future__ import annotations

from typing import Any

from gemsmith.cli.settings.table import Setting
from gemsmith.errors import SettingError

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
NAMES = ("model", "device")  # printable, and not empty
MAX_STOPS, MAX_STOP = 16, 1024  # the engine's


def from_text(setting: Setting, text: str) -> Any:
    """The value that `text`, an argument or an environment variable, spells."""
    try:
        if setting.kind is bool:
            return _yes_or_no(text)
        return checked(setting, setting.kind(text) if setting.kind in (int, float) else text)
    except (ValueError, SettingError):
        raise wrong(setting, text) from None


def checked(setting: Setting, value: Any) -> Any:
    """`value` as the commands want it; SettingError if it is of another type, or outside the setting's range."""
    if setting.kind is float and type(value) is int and abs(value) < 1 << 53:
        value = float(value)
    if setting.kind is tuple:
        value = tuple(value) if type(value) is list else (value,)
        good = len(value) <= MAX_STOPS and all(type(text) is str and 0 < len(text) <= MAX_STOP for text in value)
        return list(value) if good else _refuse(setting, list(value))
    typed: object = value
    if type(typed) is not setting.kind:
        return _refuse(setting, value)
    if setting.kind in (int, float) and not setting.low <= value <= setting.high:  # NaN is not within any range
        return _refuse(setting, value)
    if setting.choices and value not in setting.choices:
        return _refuse(setting, value)
    if setting.key in NAMES and not (value and value.isprintable()):
        return _refuse(setting, value)
    return value


def wrong(setting: Setting, value: Any) -> SettingError:
    """The error without its subject: "must be …, found …"."""
    from gemsmith.config.fields import shown

    found = "a table" if isinstance(value, dict) else shown(value)
    return SettingError(f"must be {wanted(setting)}, found {found}")


def wanted(setting: Setting) -> str:
    """What values a setting takes, in words."""
    if setting.kind in (int, float):
        kind = "a whole number" if setting.kind is int else "a number"
        return f"{kind} from {setting.low} to {setting.high}"
    if setting.kind is bool:
        return "true or false"
    if setting.kind is tuple:
        return f"a text, or a list of up to {MAX_STOPS}"
    if setting.choices:
        return f"{', '.join(setting.choices[:-1])} or {setting.choices[-1]}"
    return "a name" if setting.key in NAMES else "a text"


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError
    return word in YES


def _refuse(setting: Setting, value: Any) -> Any:
    raise wrong(setting, value)
