"""A line editor for a person at a terminal (prompt_toolkit): many lines, completion, history, and the toolbar."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from gemsmith.cli.chat.completion import choices
from gemsmith.cli.chat.history import History
from gemsmith.cli.chat.plain import BLOCK, cleaned, is_closed, unquoted

COLOURED = {
    "prompt": "bold",
    "bottom-toolbar": "noreverse fg:ansibrightblack bg:default",
    "completion-menu": "bg:default fg:default",
    "completion-menu.completion": "bg:default fg:default",
    "completion-menu.completion.current": "noreverse bold fg:ansicyan bg:default",
    "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
    "completion-menu.meta.completion.current": "bg:default fg:ansicyan",
    "scrollbar.background": "bg:default",
    "scrollbar.button": "bg:ansibrightblack",
}
COLOURLESS = dict.fromkeys(COLOURED, "noreverse nobold nounderline fg:default bg:default")
ROWS_FOR_CHOICES = 8


class Editor:
    """Reads prompts. Enter sends; Alt-Enter, a backslash at the end or an open block of three quotes begins a line."""

    def __init__(self, history: History, toolbar: Callable[[int], str], *, coloured: bool = True) -> None:
        self._history, self._toolbar = history, toolbar
        known = InMemoryHistory()
        for entry in history.entries:
            known.append_string(entry)
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            prompt_continuation=continuation,
            history=known,
            completer=Choices(),
            complete_while_typing=Condition(begins_command),
            key_bindings=bindings(),
            bottom_toolbar=self._figures,
            style=Style.from_dict(COLOURED if coloured else COLOURLESS),
            color_depth=None if coloured else ColorDepth.DEPTH_1_BIT,
            reserve_space_for_menu=ROWS_FOR_CHOICES,
            mouse_support=False,
        )

    def read(self) -> str:
        """One prompt. EOFError where there are no more; KeyboardInterrupt for Ctrl-C on an empty line."""
        text = unquoted(cleaned(self._session.prompt([("class:prompt", "> ")]))).strip()
        self._history.add(text)
        return text

    def read_line(self, label: str) -> str:
        """A single line that is no prompt, and that history does not keep."""
        session: PromptSession[str] = PromptSession(multiline=False, history=InMemoryHistory())
        return cleaned(session.prompt(f"{label}: "))

    def _figures(self) -> AnyFormattedText:
        return [("class:bottom-toolbar", self._toolbar(get_app().output.get_size().columns - 1))]


class Choices(Completer):
    """Our choices in prompt_toolkit's form."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand before the cursor."""
        for choice in choices(document.text_before_cursor):
            yield Completion(choice.text, -choice.length, display_meta=choice.about)


def begins_command() -> bool:
    """Whether the choices show by themselves: they do where a command's name is being typed."""
    text = get_app().current_buffer.document.text_before_cursor
    return text.startswith("/") and (text == "/" or text[1:].isalpha())


def continuation(width: int, number: int, wrap_count: int) -> str:
    """What stands before the second line and those after it."""
    return " " * width


def bindings() -> KeyBindings:
    """Our keys, over prompt_toolkit's own."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\") and not buffer.document.text_after_cursor:
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        elif is_open_block(buffer.text):
            buffer.newline(copy_margin=False)
        elif buffer.text.strip():
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys


def is_open_block(text: str) -> bool:
    """Whether three quotes stand at the beginning, and not at the end yet."""
    return text.lstrip().startswith(BLOCK) and not is_closed(text)
