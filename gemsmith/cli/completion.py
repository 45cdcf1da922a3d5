"""`gemsmith completion SHELL`: a script that completes commands, options and models, made from the parsers.

The script starts nothing: Tab costs no Python start. Where nothing of ours fits, the shell completes files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

EPILOG = """\
examples:
  source <(gemsmith completion bash)            in ~/.bashrc
  gemsmith completion zsh > ~/.zfunc/_gemsmith  where ~/.zfunc is in your fpath
  gemsmith completion fish > ~/.config/fish/completions/gemsmith.fish
"""

BASH = """\
_gemsmith() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
    done
    case $command,$prev,$cur in
        ,*) words='%(commands)s' ;;
%(cases)s    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _gemsmith gemsmith"""

ZSH = """\
#compdef gemsmith
_gemsmith() {
    local command=${words[2]} prev=${words[CURRENT-1]} cur=${words[CURRENT]}
    (( CURRENT == 2 )) && { compadd -- %(commands)s; return }
    case $command,$prev,$cur in
%(cases)s        *) _files ;;
    esac
}
if [[ $funcstack[1] == _gemsmith ]]; then _gemsmith "$@"; else compdef _gemsmith gemsmith; fi"""


Flags = dict[str, tuple[str, bool, tuple[str, ...]]]  # --flag -> its help, whether it takes a value, known values


@dataclass(frozen=True)
class Command:
    """What can be typed behind a command's name."""

    name: str
    help: str
    flags: Flags
    names: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `completion` understands."""
    parser.epilog = EPILOG
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    arguments = (BASH, "words='{}'") if args.shell == "bash" else (ZSH, "compadd -- {}", "_files")
    print(fish() if args.shell == "fish" else filled(*arguments))  # zsh adds files only where it is told to
    return 0


def commands() -> Iterator[Command]:
    """Every command, as its parser has it (argparse has no public list of what it was given)."""
    from gemsmith.cli.main import COMMANDS, command_parser
    from gemsmith.cli.settings.table import BY_KEY
    from gemsmith.hub.known import short_names
    from gemsmith.hub.names import available_names

    models = (*available_names(), *short_names())
    for name, text in COMMANDS.items():
        flags: Flags = {}
        names: dict[str, None] = {}
        parser = command_parser(name)
        for action in parser._actions:
            of_setting = BY_KEY[action.dest].choices if action.dest in BY_KEY else ()
            known = tuple(map(str, action.choices or ())) or of_setting
            known = models if action.dest in ("model", "name", "source") else known
            help = parser._get_formatter()._expand_help(action) if action.help else ""
            flags |= dict.fromkeys(action.option_strings, (help, action.nargs != 0, known))
            names |= {} if action.option_strings else dict.fromkeys(known)
        yield Command(name, text, flags, tuple(names))


def filled(script: str, offer: str, also: str = "") -> str:
    """A script with cases for each command: values of flags, flags where one is begun, names; the first that fits."""
    cases: list[str] = []
    for each in commands():
        for flag, (_, takes, values) in each.flags.items():
            cases += [f"{each.name},{flag},*) {offer.format(' '.join(values)) if values else also} ;;"] * takes
        cases.append(f"{each.name},*,-*) {offer.format(' '.join(each.flags))} ;;")
        cases += [f"{each.name},*) {offer.format(' '.join(each.names))}{also and '; ' + also} ;;"] * bool(each.names)
    lines = "".join(f"        {case}\n" for case in cases)
    return script % {"commands": " ".join(each.name for each in commands()), "cases": lines}


def fish() -> str:
    """For fish, which shows help beside each word."""
    lines = ["# fish completion for gemsmith"]
    for each in commands():
        here = f"complete -c gemsmith -n '__fish_seen_subcommand_from {each.name}'"
        lines.append(f"complete -c gemsmith -n __fish_use_subcommand -f -a {each.name} -d {quoted(each.help)}")
        lines += [f"{here} -a '{' '.join(each.names)}'"] if each.names else []
        for flag, (text, takes, values) in each.flags.items():
            value = f" -x -a '{' '.join(values)}'" if values else " -r" * takes
            lines.append(f"{here} {'-l' if flag[1] == '-' else '-s'} {flag.lstrip('-')}{value} -d {quoted(text)}")
    return "\n".join(lines)


def quoted(text: str) -> str:
    """A string of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
