"""Saved conversations: whole or not at all, private, found again, and never believed."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.chat.values import Malformed, Message, Text, Thought, ToolCall, ToolResult, Usage
from gemsmith.cli import conversations
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.keeper import Keeper
from gemsmith.errors import GemsmithError
from tests.chat.test_record import messages as any_message


def question(text):
    return Message("user", (Text(text),))


def answer(text, reason="stop"):
    return Message("assistant", (Thought("hm"), Text(text)), Usage(3, 2, 1), reason)


def example() -> Conversation:
    call = ToolCall("weather", {"city": "Zürich"}, "c1")
    said = [
        question("one"), answer("1"),
        question("half \ud800 a pair"), answer("begun", None),
        question("three"), Message("assistant", (call, Malformed("call:x{", "broken")), Usage(1, 1), "tool_calls"),
        Message("tool", (ToolResult({"sky": "blue"}, "weather", "c1"),)), answer("blue"),
    ]  # fmt: skip
    return Conversation("Be brief.", True, [{"name": "weather"}], said, 2)


@pytest.fixture
def keeper():
    keeper = Keeper("fake", tell=print)
    yield keeper
    keeper.close()


def test_a_conversation_comes_back_as_it_was():
    path = conversations.path_of("demo")
    conversations.save(path, example(), model="fake")
    again, document = conversations.load(path)
    assert again == example() and repr(again) == repr(example())
    assert document["model"] == "fake"
    assert [record.get("stopped", False) for record in document["messages"]].index(True) == 3


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(any_message.filter(lambda m: m.role != "system"), max_size=4))
def test_every_conversation_comes_back(said):
    document = json.loads(conversations.encoded(conversations.to_document(Conversation(messages=said))))
    assert repr(conversations.from_document(document).messages) == repr(said)


def test_only_the_owner_can_read_it(home):
    before = os.umask(0)
    try:
        conversations.save(conversations.path_of("demo"), example(), model="fake")
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / "conversations" / "demo.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "conversations").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a\0b",
        "a\nb",
        "a\x1bb",
        "../x",
        "a/../b",
        "x/..",
        "..",
        "/..",
        "..\\x",
        "a:b",
        "a*",
        ".x",
        "-x",
        "x" * 101,
    ],
)
def test_names_that_lead_elsewhere_are_refused(name, home):
    with pytest.raises(GemsmithError):
        conversations.path_of(name)


@given(st.text(max_size=30))
def test_a_name_leads_into_its_folder_or_is_a_path(name):
    try:
        path = conversations.path_of(name)
    except GemsmithError:
        return
    if "/" in name or name.endswith(".json"):
        assert path.is_absolute()
    else:
        assert path == conversations.folder() / f"{name}.json"


def test_paths_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert conversations.path_of("./x") == tmp_path / "x"
    assert conversations.path_of("x.json") == tmp_path / "x.json"


def test_names_come_last_used_first(home):
    assert conversations.names() == []
    for age, name in ((3, "old"), (1, "new"), (2, "日本")):
        path = conversations.path_of(name)
        conversations.save(path, example(), model="fake")
        os.utime(path, (time.time() - age * 100,) * 2)
    (home / "conversations" / ".new.json.tmp").touch()
    (home / "conversations" / "folder.json").mkdir()
    assert conversations.names() == ["new", "日本", "old"]


USER = {"role": "user", "content": "x"}
GOOD = {"format": conversations.FORMAT, "version": 1, "messages": []}
BROKEN = [
    b"", b"{", b"[]", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 100_000, b"[" + b"0," * 2_000_000 + b"0]", b"{}",
    *(json.dumps(GOOD | change).encode() for change in (
        {"version": 2}, {"version": "1"}, {"format": "x"}, {"messages": {}}, {"messages": [3]}, {"messages": [{}]},
        {"messages": [USER | {"content": 3}]}, {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [USER], "forgotten": 2}, {"messages": [USER], "forgotten": -1}, {"forgotten": True},
        {"messages": [USER, {"role": "assistant", "content": "x"}], "forgotten": 1}, {"system": 3}, {"think": "yes"},
        {"tools": {}}, {"tools": [3]},
    )),
    *(json.dumps(GOOD | {"tools": [{"x": "?"}]}).replace('"?"', x).encode() for x in ("1e999", "NaN", '1, "x": 2')),
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:50]))
def test_a_file_that_is_no_conversation_says_so_in_a_line(data, home):
    path = conversations.path_of("bad")
    conversations.save(path, example(), model="fake")
    path.write_bytes(data)
    start_s = time.process_time()
    with pytest.raises(GemsmithError) as told:
        conversations.load(path)
    assert "bad" in str(told.value) and "\n" not in str(told.value)
    assert time.process_time() - start_s < 5


def test_other_things_than_files_are_refused(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "big.json").touch()
    os.truncate(tmp_path / "big.json", 1 << 40)
    for name in ("folder.json", "fifo.json", "big.json", "none.json"):
        with pytest.raises(GemsmithError):
            conversations.load(tmp_path / name)


def test_every_answer_is_kept_under_its_name_and_as_last(keeper):
    conversation = Conversation()
    assert keeper.keep(conversation)
    assert conversations.names() == ["last"]
    assert keeper.save_as("demo", conversation) is None
    conversation.messages += [question("one"), answer("1")]
    assert keeper.keep(conversation)
    for name in ("last", "demo"):
        assert conversations.load(conversations.path_of(name))[0] == conversation


def test_saving_over_another_conversation_keeps_a_copy(keeper):
    other = Conversation(messages=[question("old"), answer("0")])
    conversations.save(conversations.path_of("demo"), other, model="fake")
    copy = keeper.save_as("demo", Conversation())
    assert copy == conversations.path_of("demo~")
    assert conversations.load(copy)[0] == other
    assert keeper.save_as("demo", Conversation()) is None  # its own: nothing is lost


def test_continue_goes_on_under_the_name(keeper):
    conversation = Conversation(messages=[question("one"), answer("1")])
    keeper.save_as("demo", conversation)
    keeper.keep(conversation)
    keeper.close()
    again = Keeper("fake", tell=print)
    assert again.open_latest() == conversation and again.name == "demo"
    again.close()
    conversations.path_of("demo").unlink()
    assert again.open_latest() == conversation and again.name is None
    again.close()


def test_two_chats_do_not_write_into_one_file(keeper):
    other = Keeper("fake", tell=print)
    keeper.keep(Conversation(messages=[question("a"), answer("1")]))
    other.keep(Conversation(messages=[question("b"), answer("2")]))
    assert sorted(conversations.names()) == ["last", "last-2"]
    keeper.save_as("demo", Conversation())
    for refused in (lambda: other.save_as("demo", Conversation()), lambda: other.open("demo")):
        with pytest.raises(GemsmithError, match="open in another gemsmith"):
            refused()
    keeper.let_go()
    other.open("demo")
    other.close()


def test_a_folder_that_cannot_be_written_is_told_once(home, capsys):
    home.write_text("a file")
    keeper = Keeper("fake", tell=print)
    assert not keeper.keep(Conversation()) and not keeper.keep(Conversation())
    assert capsys.readouterr().out.count("not saved") == 1
    assert not Keeper("fake", tell=print, autosaves=False).keep(Conversation())


KILLS = 100


@pytest.mark.long
def test_kill_9_at_any_instant_loses_no_answer(home):
    """A child talks and saves; whatever it said was saved before it was killed is in the file, which is whole."""
    rng = random.Random(0)
    path, last = conversations.path_of("demo"), conversations.path_of("last")
    num_acknowledged = num_kills_while_talking = 0
    for kill in range(KILLS):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            talk_forever(reader, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            first = pipe.readline() if kill % 4 else b""  # one in four is killed while it still opens its files
            time.sleep(rng.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = [int(line) for line in (first + pipe.read()).split(b"\n")[:-1]]
        num_kills_while_talking += bool(told)
        num_acknowledged = max([num_acknowledged, *told])
        for file in (path, last) if num_acknowledged else ():
            conversation, _ = conversations.load(file)
            assert len(conversation.messages) >= 2 * num_acknowledged
            asked = [message.text for message in conversation.messages if message.role == "user"]
            assert asked == [f"question {i}" for i in range(len(asked))]
    assert num_kills_while_talking > KILLS // 2
    assert num_acknowledged > KILLS
    Keeper("fake", tell=print).open("demo")
    assert [name for name in os.listdir(path.parent) if name.startswith(".demo.json.")] == []


def talk_forever(reader: int, writer: int) -> None:
    """Go on with the conversation, saving every turn and telling so, until killed."""
    try:
        os.close(reader)
        keeper = Keeper("fake", tell=print)
        conversation = keeper.open("demo", create=True)
        while True:
            number = len(conversation.messages) // 2
            conversation.messages += [question(f"question {number}"), answer(f"answer {number} " * 20)]
            if keeper.keep(conversation):
                os.write(writer, b"%d\n" % (number + 1))
    finally:
        os._exit(1)
