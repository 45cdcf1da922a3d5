"""Flags that are settings too: made from the table, and filled from environment and files where they are not typed.

A command adds those it takes, `settle` fills them all at once, and the command reads `args` as if each had been typed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from gemsmith.cli.settings.table import BY_KEY, LOADING, PROGRAM, SAMPLING, Setting

if TYPE_CHECKING:
    from gemsmith.cli.settings.settled import Settled


class NotTyped:
    """Stands in the parsed arguments for a setting whose flag was not typed."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def __copy__(self) -> list[str]:
        """argparse copies the default of a flag that may be repeated, and appends to it: what is typed stands alone."""
        return []


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Add the settings of `gemsmith.load`, and whether it may fetch a model that is not here."""
    group = parser.add_argument_group("loading")
    _add(parser, group, LOADING)
    add(parser, "offline", into=group)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the sampling settings; whatever nobody sets comes from the checkpoint's generation_config.json."""
    group = parser.add_argument_group("sampling", "What is not given comes from the model's generation_config.json.")
    _add(parser, group, SAMPLING)


def add(parser: argparse.ArgumentParser, *keys: str, into: Any = None) -> None:
    """Add the flags of single settings ("system", "think") to the parser, or to the group `into`."""
    _add(parser, into or parser, [BY_KEY[key] for key in keys])


def add_model(parser: argparse.ArgumentParser, help: str) -> None:
    """Add MODEL, which may be left out: `args.model` then is the setting's, and the person is told which it is."""
    text = f"{help} (where none is given, the setting `model`)"
    parser.add_argument("model", metavar="MODEL", nargs="?", default=NotTyped(BY_KEY["model"]), help=text)
    _take(parser, "model")


def words(argument: str) -> str:
    """An argument's text. Bytes that its locale could not read become the UTF-8 they are, or marks, as on stdin."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def loading(args: argparse.Namespace) -> dict[str, Any]:
    """The keywords for `gemsmith.load` that somebody set."""
    return _set(args, LOADING)


def sampling(args: argparse.Namespace) -> dict[str, Any]:
    """The keywords for `model.stream` that somebody set."""
    return _set(args, SAMPLING)


def settle(args: argparse.Namespace, command: str) -> None:
    """Fill what was not typed from environment, files and defaults; `args.settings` says where each came from."""
    from gemsmith.cli.settings.settled import settle

    taken: Collection[str] = getattr(args, "takes", ())
    waiting = [key for key in taken if isinstance(getattr(args, key), NotTyped)]
    args.settings = settle(command, {key: getattr(args, key) for key in taken if key not in waiting})
    for key in waiting:
        value = args.settings.value(key)
        if value is None and BY_KEY[key] in (*LOADING, *SAMPLING):
            delattr(args, key)  # not set: the model's own default holds
        else:
            setattr(args, key, value)
    _remark(args, waiting)


def typed(args: argparse.Namespace, key: str) -> bool:
    """Whether a setting stands on the command line itself, and does not come from elsewhere."""
    return any(claim.kind == "flag" for claim in args.settings.of(key))


def _remark(args: argparse.Namespace, waiting: Collection[str]) -> None:
    """Note what a person should know before the command starts."""
    settled = args.settings
    if "model" in waiting and (settled.of("model") or not getattr(args, "chooses_model", False)):
        why_offline = "; a project's choice, so nothing is downloaded" if settled.keeps_a_project_offline() else ""
        what = getattr(args, "model_argument", "MODEL")
        settled.remarks.append(f"no {what} given: {args.model} ({settled.source('model')}{why_offline})")
    settled.remarks += idle(settled, getattr(args, "takes", ()))
    settled.remarks += mistyped_variables()


def mistyped_variables() -> list[str]:
    """What the environment says with a name that is nearly one of ours, a sentence each."""
    from gemsmith.cli.settings.environment import unknown_variables

    strange = unknown_variables(os.environ).items()
    return [f"{name} means nothing to gemsmith; did you mean {near}?" for name, near in strange if near]


def idle(settled: Settled, takes: Collection[str]) -> list[str]:
    """What a command's own table sets although the command takes no such thing, a sentence each."""
    heeded = {*takes, *(setting.key for setting in PROGRAM)}
    return [
        f"{claim.where} sets {claim.path}, but `gemsmith {settled.command}` takes no {claim.key}"
        for claim in settled.claims
        if claim.of_command and claim.key not in heeded
    ]


def _add(parser: argparse.ArgumentParser, group: Any, settings: Collection[Setting]) -> None:
    for setting in settings:
        if setting.kind is bool:
            group.add_argument(
                setting.flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=setting.help
            ).default = NotTyped(setting)  # set late, since Python would print it in the help
        else:
            group.add_argument(
                setting.flag,
                type=_reader(setting),
                action="append" if setting.kind is tuple else "store",
                metavar=setting.metavar,
                default=NotTyped(setting),
                help=f"{setting.help} ({setting.unset})" if setting in LOADING else setting.help,
            )
        _take(parser, setting.key)


def _reader(setting: Setting) -> Callable[[str], Any]:
    """What argparse reads the flag's value with."""

    def read(text: str) -> Any:
        from gemsmith.cli.settings.values import from_text
        from gemsmith.errors import SettingError

        try:
            value = from_text(setting, words(text))
        except SettingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value[0] if setting.kind is tuple else value

    return read


def _take(parser: argparse.ArgumentParser, key: str) -> None:
    parser.set_defaults(takes=(*(parser.get_default("takes") or ()), key))


def _set(args: argparse.Namespace, settings: Collection[Setting]) -> dict[str, Any]:
    return {setting.key: getattr(args, setting.key) for setting in settings if hasattr(args, setting.key)}
