"""A chat without a terminal: what is asked, what is kept, and what each command answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemsmith.chat.values import (
    Audio,
    Document,
    Event,
    Image,
    Malformed,
    Message,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from gemsmith.cli import conversations
from gemsmith.cli.chat.commands import COMMANDS, Desk, Leave, is_command, run_command
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.heard import Heard
from gemsmith.cli.chat.interrupts import Interrupts
from gemsmith.cli.chat.keeper import Keeper
from gemsmith.cli.chat.loop import converse
from gemsmith.cli.chat.talk import NO_RESULT, Continuations, Talk
from gemsmith.cli.chat.toolbar import cells, toolbar
from gemsmith.cli.output import Page, show_reply
from gemsmith.cli.reading import media_of
from gemsmith.errors import ContextLengthError, GemsmithError, RequestError, UnsupportedMediaError

from .conftest import FakeModel, reply

WEATHER = {"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}


class Typist:
    """Types these lines, then Ctrl-D; an exception in their place is a key."""

    def __init__(self, *lines):
        self.lines = iter(lines)

    def read(self) -> str:
        line = next(self.lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    def read_line(self, label: str) -> str:
        return self.read()


def make_desk(model=None, results=None) -> Desk:
    model = model or FakeModel()
    keeper = Keeper(model.name, tell=print)
    talk = Talk(model, Conversation(), show=lambda heard: show_reply(heard, Page()), results=results, keep=keeper.keep)
    return Desk(talk, keeper, model)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = make_desk()
    yield desk
    desk.keeper.close()


def said(desk):
    return [(message.role, message.text) for message in desk.conversation.messages]


def test_every_turn_sees_those_before_it(desk, capsys):
    assert converse(desk, Typist("one", "two"), Interrupts()) == 0
    assert capsys.readouterr().out == "1: one\n3: two\n"
    assert said(desk) == [("user", "one"), ("assistant", "1: one"), ("user", "two"), ("assistant", "3: two")]


def test_no_mistake_ends_the_chat(desk, capsys):
    def answer(messages):
        if messages[-1].text == "bad":
            raise RequestError("no such luck")
        return reply("ok")

    desk.model.answer = answer
    typed = ("bad", "/nonsense", "/think maybe", "/load nothing", KeyboardInterrupt(), "good", "/bye", "never")
    assert converse(desk, Typist(*typed), Interrupts()) == 0
    out, err = capsys.readouterr()
    assert out == "ok\n"
    assert [line.split()[0] for line in err.splitlines()] == ["error:"] * 4 + ["(/bye"]
    assert said(desk) == [("user", "good"), ("assistant", "ok")]


def test_a_slash_may_begin_a_question(desk):
    assert [is_command(text) for text in ("/help", "/foo", "/save a b", "/system a\nb")] == [True] * 4
    questions = ("/etc/hosts is what?", "/* code */", "/", "//help", "/foo bar\nbaz", "a /help", "/3")
    assert not any(is_command(text) for text in questions)
    converse(desk, Typist("//help me"), Interrupts())
    assert said(desk)[0] == ("user", "/help me")


def stopped_after(*events):
    def answer(messages):
        yield from events
        raise KeyboardInterrupt

    return answer


def test_a_stopped_answer_is_kept_as_far_as_it_came_and_marked(desk, capsys):
    begun = (Event("thought", "so"), Event("text", "I be"), Event("text", "gin"), Event("error", "call:x{", reason="?"))
    desk.model.answer = stopped_after(*begun)
    converse(desk, Typist("one"), Interrupts())
    message = desk.conversation.messages[-1]
    assert message.parts == (Thought("so"), Text("I begin"), Malformed("call:x{", "?"))
    assert message.finish_reason is None
    assert "stopped; what was said so far is kept" in capsys.readouterr().err
    saved = json.loads(conversations.path_of("last").read_bytes())
    assert [record.get("stopped") for record in saved["messages"]] == [None, True]


def test_an_answer_stopped_before_a_word_is_not_kept_and_can_be_retried(desk, capsys):
    desk.model.answer = stopped_after(Event("thought", "so"))
    converse(desk, Typist("one"), Interrupts())
    assert said(desk) == []
    desk.model.answer = None
    assert run_command(desk, "/retry") == ""
    assert said(desk) == [("user", "one"), ("assistant", "1: one")]


def test_one_ctrl_c_raises_once_and_only_where_it_may():
    import os
    import signal

    interrupts, raised = Interrupts(), 0
    with interrupts.installed():
        os.kill(os.getpid(), signal.SIGINT)
        try:
            with interrupts.allowed():
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    raise AssertionError("not interrupted")
                finally:
                    os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raised += 1
        os.kill(os.getpid(), signal.SIGINT)
    assert raised == 1


def test_retry_asks_the_last_question_again_with_the_next_seed(desk):
    desk.talk.sampling["seed"] = 5
    desk.talk.ask("one")
    desk.talk.ask("two")
    run_command(desk, "/retry")
    run_command(desk, "/retry")
    assert [options["seed"] for _, options in desk.model.asked] == [5, 5, 6, 7]
    assert said(desk)[2:] == [("user", "two"), ("assistant", "3: two")]
    desk.talk.ask("three")
    assert desk.model.asked[-1][1]["seed"] == 5


def test_retry_keeps_the_old_answer_if_there_is_no_new_one(desk):
    desk.talk.ask("one")

    def answer(messages):
        raise RequestError("busy")

    desk.model.answer = answer
    with pytest.raises(RequestError, match="busy"):
        run_command(desk, "/retry")
    assert said(desk) == [("user", "one"), ("assistant", "1: one")]


def test_retry_says_when_it_cannot_differ(desk):
    with pytest.raises(RequestError, match="no question"):
        run_command(desk, "/retry")
    desk.talk.ask("one")
    run_command(desk, "/set temperature 0")
    assert "same answer" in run_command(desk, "/retry")


def test_what_the_model_forgets_stays_in_the_conversation(desk, capsys):
    def answer(messages):
        if len(messages) > 3:
            raise ContextLengthError(100, 64)
        return reply(str(len(messages)))

    desk.model.answer = answer
    converse(desk, Typist(*"abcd"), Interrupts())
    assert capsys.readouterr().err.count("forgot the oldest") == 2
    assert [text for _, text in said(desk)] == ["a", "1", "b", "3", "c", "3", "d", "3"]
    assert [message.text for message in desk.model.asked[-1][0]] == ["c", "3", "d"]
    again, _ = conversations.load(conversations.path_of("last"))
    assert again == desk.conversation and again.forgotten == 4


def calls_then_answers(messages):
    if messages[-1].role == "tool":
        return reply(f"It is {messages[-1].parts[0].content}.")
    calls = (ToolCall("weather", {"city": "Bern"}, "c1"), ToolCall("weather", {"city": "Rom"}, "c2"))
    events = [Event("tool_call", tool_call=call) for call in calls]
    return iter([*events, Event("done", message=Message("assistant", calls, Usage(1, 1), "tool_calls"))])


def test_a_person_types_what_a_tool_returns(capsys):
    asked = []
    desk = make_desk(FakeModel(calls_then_answers), lambda call: asked.append(call) or {"sky": "blue"})
    desk.conversation.tools = [WEATHER]
    desk.talk.ask("Weather?")
    out = capsys.readouterr().out
    assert (
        out == 'tool call: weather({"city": "Bern"})\ntool call: weather({"city": "Rom"})\nIt is {\'sky\': \'blue\'}.\n'
    )
    assert [call.arguments["city"] for call in asked] == ["Bern", "Rom"]
    assert [message.role for message in desk.conversation.messages] == ["user", "assistant", "tool", "assistant"]
    assert desk.conversation.messages[2].parts[0] == ToolResult({"sky": "blue"}, "weather")
    assert desk.model.asked[-1][1]["tools"] == [WEATHER]


@pytest.mark.parametrize("answer", [None, KeyboardInterrupt()])
def test_skipped_calls_end_the_answer_and_have_no_result(answer, capsys):
    def results(call):
        if answer is not None:
            raise answer
        return None

    desk = make_desk(FakeModel(calls_then_answers), results)
    desk.conversation.tools = [WEATHER]
    converse(desk, Typist("Weather?"), Interrupts())
    assert [message.role for message in desk.conversation.messages] == ["user", "assistant", "tool"]
    assert [part.content for part in desk.conversation.messages[-1].parts] == [NO_RESULT] * 2
    assert len(desk.model.asked) == 1


def test_typed_results_are_data_where_they_are_json():
    from gemsmith.cli.chat.tools import ask_person

    typist = Typist('{"a": 1}', "42", "sunny, 22 °C", "", EOFError(), "true")
    result = ask_person(typist.read_line)
    assert [result(ToolCall("f", {})) for _ in range(6)] == [{"a": 1}, 42, "sunny, 22 °C", None, None, True]


def test_commands_answer_with_one_line(desk, tmp_path):
    (tmp_path / "tools.json").write_text(json.dumps([WEATHER]))
    (tmp_path / "a.txt").write_text("words")
    desk.talk.ask("one")
    lines = ["/clear", "/save", "/save demo", "/load", "/load demo", "/think", "/think off", "/system", "/system x",
             "/system off", f"/file {tmp_path}/a.txt", "/tools", f"/tools {tmp_path}/tools.json", "/tools off", "/set",
             "/set top_k 3", "/set top_k", "/set top-k off", "/stats", f"/image {tmp_path}/a.txt", "/drop a.txt",
             f"/pdf {tmp_path}/a.txt 1-3", f"/audio {tmp_path}/a.txt", f"/video {tmp_path}/a.txt", "/drop"]  # fmt: skip
    for line in lines:
        told = run_command(desk, line)
        assert told and "\n" not in told, line
    used = {line[1:].split()[0] for line in lines}
    assert used | {"help", "retry", "bye", "exit", "quit"} == set(COMMANDS)
    with pytest.raises(Leave):
        run_command(desk, "/bye")


def test_help_names_every_command_and_fits_79_columns(desk):
    told = run_command(desk, "/help").splitlines()
    assert max(map(len, told)) < 80
    assert [line.split()[0] for line in told if line.startswith("/")] == [
        f"/{n}" for n, c in COMMANDS.items() if c.help
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/hlep", "did you mean '/help'"),
        ("/set temprature 1", "did you mean 'temperature'"),
        ("/set temperature hot", "temperature must be a number"),
        ("/set top_p 2", "top_p must be"),
        ("/think perhaps", "/think on or /think off"),
        ("/file", "/file PATH"),
        ("/file nowhere.txt", "nowhere.txt"),
        ("/image nowhere.png", "nowhere.png"),
        ("/tools nowhere.json", "nowhere.json"),
        ("/load nowhere", "no conversation is saved as 'nowhere'"),
        ("/load ../x", "'..'"),
        ("/save a\0b", "cannot be seen"),
        ("/save last", "choose another name"),
        ("/save .hidden", "no name"),
        ("/save /no/such/folder/x.json", "cannot write"),
    ],
)
def test_a_command_that_cannot_says_why(desk, line, says):
    with pytest.raises(GemsmithError) as told:
        run_command(desk, line)
    assert says in str(told.value) and "\n" not in str(told.value)


def test_settings_reach_the_model(desk):
    run_command(desk, "/set temperature 0.5")
    run_command(desk, "/set stop END")
    told = run_command(desk, "/set")
    assert told.startswith("temperature 0.5 · stop ['END']; /set NAME VALUE sets top_p, top_k,")
    assert told.endswith(", frequency_penalty; off unsets")
    run_command(desk, "/think on")
    run_command(desk, "/system Be brief.")
    desk.talk.ask("hi")
    messages, options = desk.model.asked[-1]
    assert options == {"think": True, "temperature": 0.5, "stop": ["END"]}
    assert messages[0] == Message("system", (Text("Be brief."),))


def test_a_model_without_eyes_refuses_a_picture_at_once(desk, tmp_path):
    desk.model.refusal = UnsupportedMediaError("fake cannot see")
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(UnsupportedMediaError, match=r"^/image \S+/a\.png: fake cannot see$"):
        run_command(desk, f"/image {tmp_path}/a.png")
    assert desk.talk.media == []


def test_a_conversation_with_a_picture_is_not_taken_over_without_eyes(desk):
    picture = Image(Path("/pictures/a.png"))
    desk.keeper.save_as("seen", Conversation(messages=[Message("user", (picture,))]))
    desk.keeper.let_go()
    desk.model.refusal = UnsupportedMediaError("fake cannot see")
    with pytest.raises(UnsupportedMediaError, match=r"^picture a\.png: fake cannot see$"):
        run_command(desk, "/load seen")
    assert desk.conversation.messages == [] and desk.keeper.name is None


def test_files_and_pictures_go_with_the_next_question_and_only_that(desk, tmp_path):
    (tmp_path / "a.py").write_text("x = '```'\n")
    run_command(desk, f"/file '{tmp_path}/a.py'")
    run_command(desk, f"/image {tmp_path}/a.py")
    assert "1 file · 1 picture" in toolbar(desk.talk, desk.keeper, 80)
    desk.talk.ask("what?")
    desk.talk.ask("and?")
    picture, text = desk.conversation.messages[0].parts
    assert picture.source == tmp_path / "a.py"
    assert text == Text("File: a.py\n````\nx = '```'\n````\n\nwhat?")
    assert desk.conversation.messages[2].parts == (Text("and?"),)


def test_senses_are_told_apart_and_taken_back(desk, tmp_path):
    for name in ("a b.png", "talk.mp3", "report.pdf"):
        (tmp_path / name).write_bytes(b"?")
    told = run_command(desk, f"/image {tmp_path}/a\\ b.png")  # as a terminal writes what is dropped into it
    assert told == "a b.png: 10 tokens; goes with your next question"
    run_command(desk, f"/audio file://{tmp_path}/talk.mp3")
    run_command(desk, f"/pdf {tmp_path}/report.pdf 2-")
    assert "1 picture · 1 PDF · 1 sound" in toolbar(desk.talk, desk.keeper, 80)
    assert run_command(desk, "/drop report.pdf") == "dropped: report.pdf"
    with pytest.raises(RequestError, match=r": a b\.png, talk\.mp3$"):
        run_command(desk, "/drop report.pdf")
    desk.talk.ask("what?")
    assert desk.conversation.messages[0].parts == (
        Image(tmp_path / "a b.png"),
        Audio(tmp_path / "talk.mp3"),
        Text("what?"),
    )
    assert run_command(desk, "/drop") == "nothing waits to go with your next question"


def test_pages_after_a_path_are_pages(desk, tmp_path):
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "part 2").write_bytes(b"%PDF-1.7")
    run_command(desk, f"/pdf {tmp_path}/report.pdf 1-3,7")
    run_command(desk, f"/pdf {tmp_path}/part 2")
    assert desk.talk.media == [Document(tmp_path / "report.pdf", "1-3,7"), Document(tmp_path / "part 2")]


def test_what_was_seen_is_counted_and_not_looked_at_again_for_the_figures(desk, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    run_command(desk, f"/image {tmp_path}/a.png")
    usage = Usage(300, 5, image_tokens=280)
    desk.model.answer = lambda messages: iter(
        [Event("done", message=Message("assistant", (Text("A cup."),), usage, "stop"))]
    )
    desk.talk.ask("what?")
    assert "280 tokens of pictures" in run_command(desk, "/stats")
    desk.talk.changed()
    (tmp_path / "a.png").unlink()
    assert desk.talk.context_used() == 280 + len("what?A cup.")
    assert all(not part for messages, _ in desk.model.rendered[-1:] for part in media_of(messages))


def test_a_path_alone_is_a_hint_and_no_question(desk, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    converse(desk, Typist(f"'{tmp_path}/a.png'", f"{tmp_path}/b.png"), Interrupts())
    assert f"a.png is a picture: /image '{tmp_path}/a.png' puts it before your next question" in capsys.readouterr().err
    assert [messages[-1].text for messages, _ in desk.model.asked] == [f"{tmp_path}/b.png"]  # no such file


def test_a_file_longer_than_the_context_is_refused_with_numbers(desk, tmp_path):
    (tmp_path / "long.txt").write_text("x" * 2000)
    with pytest.raises(GemsmithError, match=r"long.txt is 2,0\d\d tokens.*1,000.*up to 4000"):
        run_command(desk, f"/file {tmp_path}/long.txt")


@pytest.mark.parametrize("tools", ["{", "3", "[]", "[3]", '[{"name": "a b"}]', '[{"name": "a"}, {"name": "a"}]'])
def test_tools_that_are_none_are_refused(desk, tmp_path, tools):
    (tmp_path / "tools.json").write_text(tools)
    with pytest.raises(RequestError):
        run_command(desk, f"/tools {tmp_path}/tools.json")
    assert desk.conversation.tools == []


def test_the_toolbar_fits_and_is_never_cut_inside_a_word(desk, tmp_path):
    desk.model.name = "/models/a-very-long-name-of-a-checkpoint-folder-日本語"
    desk.talk.ask("one")
    run_command(desk, "/save 会話の名前")
    whole = toolbar(desk.talk, desk.keeper, 500).split(" · ")
    assert len(whole) >= 4
    for width in range(1, 130):
        line = toolbar(desk.talk, desk.keeper, width)
        assert cells(line) <= width
        assert not line or set(line.split(" · ")) <= set(whole)
    assert "context" in toolbar(desk.talk, desk.keeper, 24)


def test_figures_come_from_usage_and_a_clock(desk):
    times = iter([0.0, 2.0, 2.5, 4.0])
    done = Event("done", message=Message("assistant", (Text("ab"),), Usage(10, 21), "stop"))
    heard = Heard(lambda: iter([Event("text", "a"), Event("text", "b"), done]), clock=lambda: next(times))
    assert list(heard)
    figures = heard.figures()
    assert (figures.first_s, figures.total_s, figures.tokens_per_s) == (2.0, 4.0, 10.0)


def test_raw_text_has_few_commands(capsys):
    talk = Continuations(lambda text, **options: iter([text, "!"]), lambda pieces: print(*pieces), temperature=1)
    desk = Desk(talk, Keeper("fake", tell=print), FakeModel())
    converse(desk, Typist("/set top_k 2", "hi", "/save x"), Interrupts())
    out, err = capsys.readouterr()
    assert out == "hi !\n" and "raw text is no conversation" in err
    assert talk.sampling == {"temperature": 1, "top_k": 2}
