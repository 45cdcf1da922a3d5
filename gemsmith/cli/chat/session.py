"""Puts a chat together for the person in front of it: editor, history, conversation, and what keeps it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from gemsmith.chat.values import Media, Message
from gemsmith.cli.attachments import Look
from gemsmith.cli.chat.commands import Desk, check, told
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.heard import Heard
from gemsmith.cli.chat.history import History
from gemsmith.cli.chat.interrupts import Interrupts, silent_keys
from gemsmith.cli.chat.keeper import Keeper
from gemsmith.cli.chat.loop import Editor, converse
from gemsmith.cli.chat.plain import PlainEditor, is_dumb
from gemsmith.cli.chat.talk import Continuations, Talk
from gemsmith.cli.chat.toolbar import toolbar
from gemsmith.cli.chat.tools import ask_person
from gemsmith.cli.output import Page, colours, note, show_pieces, show_reply


class Session:
    """One sitting. `plain` draws nothing; without `keeps_history` nothing that was typed stays on the disk."""

    def __init__(
        self,
        model: Any,
        keeper: Keeper,
        *,
        encoding: str | None = None,
        look: Look | None = None,
        plain: bool = False,
        keeps_history: bool = True,
    ) -> None:
        self._model, self._keeper, self._encoding, self._look = model, keeper, encoding, look or Look()
        self._is_plain = plain or is_dumb()
        self._history = History.of_user(is_kept=keeps_history)
        self._interrupts = Interrupts()

    def converse(
        self, conversation: Conversation, before: Sequence[str], sampling: dict[str, Any], media: Sequence[Media] = ()
    ) -> int:
        """A conversation; `before` are documents, and `media` what is seen and heard, with the first question."""
        count = check(self._model, conversation, self._look.settings)
        talk = Talk(
            self._model,
            conversation,
            show=_show,
            sampling=sampling,
            results=ask_person(lambda label: editor.read_line(label)),
            keep=self._keeper.keep,
            interruptible=self._interrupts.allowed,
            settings=self._look.settings,
        )
        talk.count(count if conversation.messages else None)
        talk.documents += before
        talk.media += media
        editor = self._editor(talk)
        note(
            f"{self._model.name}, {self._model.max_context:,} tokens of context; /help lists the commands, /bye leaves"
        )
        if conversation.messages:
            note(told(conversation, self._keeper.name or "the last conversation"))
        code = self._run(talk, editor)
        if self._keeper.is_kept:
            note("kept; --continue goes on with it")
        return code

    def continue_text(self, sampling: dict[str, Any]) -> int:
        """Raw text, where every line is continued as it stands."""
        note("every line is continued as it stands; /help lists the commands, /bye leaves")
        talk = Continuations(self._model.stream_complete, self._show_pieces, **sampling)
        return self._run(talk, self._editor(None))

    def _run(self, talk: Talk | Continuations, editor: Editor) -> int:
        desk = Desk(talk, self._keeper, self._model, self._encoding, self._look)
        # input() and readline echo only where the terminal does; the drawn editor shows all itself
        with nullcontext() if self._is_plain else silent_keys():
            return converse(desk, editor, self._interrupts)

    def _editor(self, talk: Talk | None) -> Editor:
        if self._is_plain:
            return PlainEditor(self._history)
        from gemsmith.cli.chat.editor import Editor as Drawn

        def figures(width: int) -> str:
            return toolbar(talk, self._keeper, width) if talk else ""

        return Drawn(self._history, figures, coloured=colours(sys.stdout))

    def _show_pieces(self, pieces: Iterable[str]) -> None:
        with self._interrupts.allowed(), silent_keys():
            show_pieces(pieces)


def _show(heard: Heard) -> Message | None:
    with silent_keys():
        return show_reply(heard, Page())
