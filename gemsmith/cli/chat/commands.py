"""What a line that begins with a slash does: one table, one function each, and one clear line as the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gemsmith.cli import conversations, documents
from gemsmith.cli.attachments import Look
from gemsmith.cli.chat.attaching import attach, drop
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.keeper import Keeper
from gemsmith.cli.chat.talk import Continuations, Talk
from gemsmith.cli.chat.toolbar import counted, stats
from gemsmith.cli.reading import attending, media_of
from gemsmith.cli.settings.table import SAMPLING, Setting
from gemsmith.cli.settings.values import from_text
from gemsmith.errors import RequestError, SettingError

if TYPE_CHECKING:
    from gemsmith.media.settings import MediaSettings

KEYS = """\
Alt-Enter, or \\ at the end of a line, begins a new line; \"\"\" stands before and
after many lines. Tab completes, the arrows call back what was typed, Ctrl-R
searches it. Ctrl-C stops an answer or clears the line, Ctrl-D leaves. Type two
slashes for a question that begins with one."""


class Leave(Exception):
    """The person wants to go."""


@dataclass
class Desk:
    """What commands work on. `model` is what `gemsmith.load` returned."""

    talk: Talk | Continuations
    keeper: Keeper
    model: Any
    encoding: str | None = None
    look: Look = field(default_factory=Look)

    @property
    def conversation(self) -> Conversation:
        return self.chat.conversation

    @property
    def chat(self) -> Talk:
        """The conversation; an error where there is none."""
        if isinstance(self.talk, Talk):
            return self.talk
        raise RequestError("raw text is no conversation: it has /set, /help and /bye")


def run_command(desk: Desk, line: str) -> str:
    """Do what the line says; what to tell the person. RequestError, or another GemsmithError, where it cannot."""
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name.strip())
    if command is None:
        raise RequestError(f"no command /{name}{_nearest(name)}")
    return command.do(desk, argument.strip())


def is_command(line: str) -> bool:
    """A slash and a word. A path has a second slash, code has other signs, and many lines are a question."""
    found = re.match(r"/([a-zA-Z]+)(?=\s|$)", line)
    return found is not None and ("\n" not in line or found[1] in COMMANDS)


def _nearest(name: str) -> str:
    from gemsmith.cli.main import nearest

    return nearest(f"/{name}", [f"/{known}" for known in COMMANDS]) + "; /help lists them"


def help_(desk: Desk, argument: str) -> str:
    width = max(len(f"/{name} {command.takes}") for name, command in COMMANDS.items()) + 2
    rows = [
        f"/{name} {command.takes}".ljust(width) + command.help for name, command in COMMANDS.items() if command.help
    ]
    return "\n".join([*rows, "", KEYS])


def clear(desk: Desk, argument: str) -> str:
    name = desk.keeper.name
    desk.talk.clear()
    desk.keeper.let_go()
    return "forgotten: this is a new conversation" + (f"; the old one stays saved as {name}" if name else "")


def save(desk: Desk, argument: str) -> str:
    name = argument or desk.keeper.name or time.strftime("chat-%Y-%m-%d-%H%M%S")
    copy = desk.keeper.save_as(name, desk.conversation)
    kept = f"; what was there before is {copy.stem} now" if copy else ""
    return f"saved as {name}, and again after every answer{kept}"


def load(desk: Desk, argument: str) -> str:
    if not argument:
        names = conversations.names()
        return f"saved: {', '.join(names[:40])} (/load NAME)" if names else "nothing is saved yet (/save NAME)"
    count = 0

    def counted_and_checked(found: Conversation) -> None:
        nonlocal count
        count = check(desk.model, found, desk.look.settings)

    conversation = desk.keeper.open(argument, check=counted_and_checked)
    desk.chat.take_over(conversation)
    desk.chat.count(count)
    return told(conversation, desk.keeper.name or argument)


def check(model: Any, conversation: Conversation, settings: MediaSettings | None = None) -> int:
    """Tokens of a conversation. Raises where the model cannot go on with it, for its tools or its media."""
    from gemsmith.chat.tools import read_tools

    read_tools(conversation.tools)
    if not conversation.messages:
        return 0
    options = {"media": settings} if settings else {}
    with attending(media_of(conversation.messages)):
        prompt = model.render(conversation.seen(), tools=conversation.tools, think=conversation.think, **options)
    return len(prompt.ids)


def told(conversation: Conversation, name: str) -> str:
    """What a loaded conversation is."""
    messages = conversation.messages
    if not messages:
        return f"{name} is a new conversation"
    last = next((m.text for m in reversed(messages) if m.role == "user"), "")
    asked = counted(sum(m.role == "user" for m in messages), "question") or "no question"
    first_line = " ".join(last.split())
    return f"{name}: {asked}, the last was {first_line[:50]!r}{'…' * (len(first_line) > 50)}"


def retry(desk: Desk, argument: str) -> str:
    model, talk = desk.model, desk.chat
    temperature = talk.sampling.get("temperature", None if model.generation.do_sample else 0)
    if not talk.retry():
        raise RequestError("there is no question to ask again yet")
    is_greedy = temperature == 0
    return "temperature 0: the same question has the same answer; /set temperature 1 varies it" if is_greedy else ""


def think(desk: Desk, argument: str) -> str:
    wanted = {"on": True, "off": False, "": not desk.conversation.think}.get(argument.lower())
    if wanted is None:
        raise RequestError(f"/think on or /think off, not {argument!r}")
    desk.conversation.think = wanted
    desk.chat.changed()
    return f"thinking {'on' if wanted else 'off'}"


def system(desk: Desk, argument: str) -> str:
    conversation = desk.conversation
    if not argument:
        return f"system: {conversation.system}" if conversation.system else "no system text (/system TEXT)"
    conversation.system = None if argument == "off" else argument
    desk.chat.changed()
    return "no system text any more" if argument == "off" else "the system text holds from the next question on"


def tools(desk: Desk, argument: str) -> str:
    from gemsmith.cli.chat.tools import read_tools_file

    conversation = desk.conversation
    if argument == "off":
        conversation.tools = []
    elif argument:
        conversation.tools = read_tools_file(argument, desk.model)
    desk.chat.changed()
    if not conversation.tools:
        return "no tools any more" if argument else "no tools (/tools FILE)"
    from gemsmith.chat.tools import read_tools

    names = ", ".join(tool.name for tool in read_tools(conversation.tools))
    return f"tools: {names}; you type what a call returns, nothing is run"


def file(desk: Desk, argument: str) -> str:
    path = _needed(argument, "/file PATH")
    document = documents.read(path, encoding=desk.encoding, most_tokens=desk.model.max_context)
    count = documents.num_tokens(desk.model, document)
    desk.chat.documents.append(document.fenced())
    guess = f", read as {document.encoding}, a guess" if document.is_guess else ""
    return f"{document.name}: {count:,} tokens{guess}; goes with your next question"


def set_(desk: Desk, argument: str) -> str:
    sampling = desk.talk.sampling
    name, _, value = argument.partition(" ")
    if not name:
        said = [f"{key} {value}" for key, value in sampling.items()]
        others = ", ".join(setting.key for setting in SAMPLING if setting.key not in sampling)
        return (" · ".join(said) + "; " if said else "") + f"/set NAME VALUE sets {others}; off unsets"
    setting = _setting(name)
    if not value.strip():
        return (
            f"{setting.key} {sampling[setting.key]}" if setting.key in sampling else f"{setting.key}: {setting.unset}"
        )
    if value.strip() in ("off", "default"):
        sampling.pop(setting.key, None)
        return f"{setting.key}: {setting.unset}"
    try:
        sampling[setting.key] = from_text(setting, value.strip())
    except SettingError as error:
        raise RequestError(f"{setting.key} {error}") from None
    return f"{setting.key} {sampling[setting.key]}"


def _setting(name: str) -> Setting:
    known = {setting.key: setting for setting in SAMPLING}
    key = name.lower().lstrip("-").replace("-", "_")
    if key not in known:
        from gemsmith.cli.main import nearest

        raise RequestError(f"there is no setting {name!r}{nearest(key, known)}")
    return known[key]


def stats_(desk: Desk, argument: str) -> str:
    return stats(desk.chat, desk.keeper)


def bye(desk: Desk, argument: str) -> str:
    raise Leave


def _needed(argument: str, usage: str) -> str:
    if not argument:
        raise RequestError(f"say which: {usage}")
    return argument


@dataclass(frozen=True)
class Command:
    """One command; without help it is another name for one."""

    do: Callable[[Desk, str], str]
    takes: str = ""
    help: str = ""


COMMANDS = {
    "help": Command(help_, "", "this list"),
    "clear": Command(clear, "", "forget the conversation so far"),
    "save": Command(save, "[NAME]", "save it, and again after every answer"),
    "load": Command(load, "[NAME]", "go on with a saved one; without NAME, list them"),
    "retry": Command(retry, "", "ask the last question again"),
    "think": Command(think, "[on|off]", "let the model think before it answers"),
    "system": Command(system, "[TEXT|off]", "instructions above the conversation"),
    "file": Command(file, "PATH", "put a document or code before your next question"),
    "image": Command(attach("image"), "PATH", "put a picture before your next question"),
    "pdf": Command(attach("pdf"), "PATH [PAGES]", "pages of a PDF, 1-3,7 or all"),
    "audio": Command(attach("audio"), "PATH", "a sound of up to 30 seconds"),
    "video": Command(attach("video"), "PATH", "a clip"),
    "drop": Command(drop, "[NAME]", "take back what would go with your next question"),
    "tools": Command(tools, "[FILE|off]", "functions the model may call, as JSON"),
    "set": Command(set_, "[NAME VALUE]", "temperature, max_tokens, seed …"),
    "stats": Command(stats_, "", "context used, and how fast the answer came"),
    "bye": Command(bye, "", "leave (so does Ctrl-D)"),
    "exit": Command(bye),
    "quit": Command(bye),
}
