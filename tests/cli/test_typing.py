"""How lines are typed without drawing: many lines as one prompt, history, and what Tab offers."""

from __future__ import annotations

import json
import os
import stat

import pytest

from gemsmith.cli import conversations
from gemsmith.cli.chat.completion import choices
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.history import MAX_ENTRIES, History
from gemsmith.cli.chat.plain import PlainEditor, cleaned, join_lines


@pytest.mark.parametrize(
    ("lines", "prompt"),
    [
        (["one", "two"], "one"),
        (["  one  "], "one"),
        (["one\\", "two\\", "three", "four"], "one\ntwo\nthree"),
        (['"""one"""', "two"], "one"),
        (['"""', "one", "", '  "two"', '"""', "three"], 'one\n\n  "two"'),
        (['"""one', 'two"""'], "one\ntwo"),
        (['""""""'], ""),
        (['"""one', "two"], "one\ntwo"),
        (["one\\"], "one"),
    ],
)
def test_lines_that_belong_together(lines, prompt):
    def typed():
        yield from lines
        raise EOFError

    assert join_lines(typed()) == prompt


def test_ctrl_d_alone_is_the_end():
    def nothing():
        raise EOFError
        yield

    with pytest.raises(EOFError):
        join_lines(nothing())


def test_half_characters_become_marks():
    assert cleaned("a\udcffé") == "a\ufffdé"


def test_history_is_kept_privately_and_called_back(home):
    history = History.of_user()
    for text in ("one", "two\nlines", "two\nlines", "  ", "日本\x85"):
        history.add(text)
    path = home / "history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert History.of_user().entries == ["one", "two\nlines", "日本\x85"]


def test_history_that_is_not_kept_leaves_nothing(home):
    history = History.of_user(is_kept=False)
    history.add("secret")
    assert history.entries == ["secret"] and not home.exists()


def test_a_broken_history_is_passed_over(home):
    home.mkdir()
    lines = [b'"one"', b'"half', b"[" * 100_000, b"3", b"\xff\xfe", b'"two"', b'"cut o']
    (home / "history").write_bytes(b"\n".join(lines))
    assert History.of_user().entries == ["one", "two"]


def test_a_long_history_is_cut_to_the_last(home):
    home.mkdir()
    path = home / "history"
    path.write_text("".join(json.dumps(f"line {i}") + "\n" for i in range(MAX_ENTRIES + 50)))
    assert History.of_user().entries[0] == "line 50"
    assert len(path.read_text().splitlines()) == MAX_ENTRIES
    os.chmod(path, 0o600)


def test_a_pipe_in_the_histories_place_stops_nobody(home):
    home.mkdir()
    os.mkfifo(home / "history")
    history = History.of_user()
    history.add("one")
    assert history.entries == ["one"]


def offered(before):
    return [choice.text for choice in choices(before)]


def test_commands_are_offered_by_their_beginning():
    assert offered("/s") == ["/save", "/system", "/set", "/stats"]
    assert offered("/nonsense") == offered("save") == offered("a /s") == offered("/s\n") == []
    assert all(choice.about for choice in choices("/"))


def test_arguments_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "night\x1b").touch()
    (tmp_path / "nest").mkdir()
    (tmp_path / "nest" / "egg.json").touch()
    conversations.save(conversations.path_of("nice"), Conversation(), model="fake")
    assert offered("/file n") == ["nest/", "notes.txt"]
    assert offered("/tools nest/") == ["egg.json"]
    assert offered("/load n") == ["nice", "nest/", "notes.txt"]
    assert offered("/think ") == ["on", "off"]
    assert "temperature" in offered("/set te")
    assert offered("/file \0") == offered("/help x") == []


def test_what_is_typed_in_plain_lines_is_remembered(monkeypatch, home):
    lines = iter(["one\\", "two", ""])
    monkeypatch.setattr("builtins.input", lambda label: next(lines))
    editor = PlainEditor(History.of_user())
    assert (editor.read(), editor.read()) == ("one\ntwo", "")
    assert History.of_user().entries == ["one\ntwo"]
