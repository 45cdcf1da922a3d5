"""`gemsmith run`: what the model is asked, and what stands on stdout and on stderr."""

from __future__ import annotations

import json

import pytest

from gemsmith.chat.values import Event, Message, Text, ToolCall
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.talk import Talk
from gemsmith.cli.output import Page, show_reply
from gemsmith.errors import ContextLengthError, SamplingError

from .conftest import reply


def texts(messages):
    return [(m.role, m.text) for m in messages]


def test_the_answer_is_all_of_stdout(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "What is 17 + 25?")
    assert (ended.code, ended.out, ended.err) == (0, "1: What is 17 + 25?\n", "")
    assert model.loaded == [("pebble", {})]
    assert model.asked == [((Message("user", (Text("What is 17 + 25?"),)),), {"think": False})]


def test_options_reach_the_model(gemsmith_, model):
    loading = ["--max-context", "512", "--threads", "2", "--dtype", "float32", "--device", "cpu"]
    sampling = [
        "--temperature",
        "0",
        "--top-p",
        ".9",
        "--top-k",
        "5",
        "--min-p",
        "0.1",
        "--max-tokens",
        "7",
        "--seed",
        "3",
    ]
    penalties = ["--repetition-penalty", "1.1", "--presence-penalty", "0.5", "--frequency-penalty", "-0.5"]
    gemsmith_("run", "pebble", "hi", "--stop", "a", "--stop", "b", *loading, *sampling, *penalties)
    assert model.loaded[0][1] == {"max_context": 512, "threads": 2, "dtype": "float32", "device": "cpu"}
    assert model.asked[0][1] == {
        "think": False,
        "temperature": 0.0,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "max_tokens": 7,
        "seed": 3,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "stop": ["a", "b"],
    }


def test_system_stands_above(gemsmith_, model):
    gemsmith_("run", "pebble", "hi", "--system", "Be brief.")
    assert texts(model.asked[0][0]) == [("system", "Be brief."), ("user", "hi")]


def test_dash_reads_stdin_as_one_prompt(gemsmith_, model):
    gemsmith_("run", "pebble", "-", stdin="two\nlines\n")
    assert texts(model.asked[0][0]) == [("user", "two\nlines")]


def test_thoughts_are_labelled_on_stderr(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "hi", "--think")
    assert (ended.out, ended.err) == ("1: hi\n", "thought: hm\n")


def test_thoughts_are_dimmed_on_a_terminal(gemsmith_, model, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    ended = gemsmith_("run", "pebble", "hi", "--think", terminal=True)
    assert ended.err == "\x1b[2mhm\n\x1b[0m"
    assert ended.out == "1: hi\n"


def test_no_color_is_respected(gemsmith_, model):
    assert "\x1b" not in gemsmith_("run", "pebble", "hi", "--think", terminal=True).err


def test_a_model_cannot_drive_the_terminal(gemsmith_, model):
    model.answer = lambda messages: reply("\x1b[2Jgone\x07\ttab\x9b1m")
    assert gemsmith_("run", "pebble", "hi", terminal=True).out == "␛[2Jgone␇\ttab\ufffd1m\n"
    assert gemsmith_("run", "pebble", "hi").out == "\x1b[2Jgone\x07\ttab\x9b1m\n"


def test_an_answer_that_ends_its_line_gets_no_second_one(gemsmith_, model):
    model.answer = lambda messages: reply("done\n")
    assert gemsmith_("run", "pebble", "hi").out == "done\n"


def test_a_cut_answer_is_told(gemsmith_, model):
    model.answer = lambda messages: reply("and so", finish_reason="length")
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.out) == (0, "and so\n")
    assert "cut" in ended.err


def test_tool_calls_and_malformed_ones_are_seen(gemsmith_, model):
    def answer(messages):
        yield Event("text", "Look: ")
        yield Event("tool_call", tool_call=ToolCall("weather", {"city": "Zürich"}))
        yield Event("error", "call:oops{", reason="it never ends")
        yield Event("done", message=Message("assistant", ()))

    model.answer = answer
    ended = gemsmith_("run", "pebble", "hi")
    assert ended.out == 'Look: \ntool call: weather({"city": "Zürich"})\ncall:oops{\n'
    assert "it never ends" in ended.err


def test_raw_continues(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "--raw", "Once", "--max-tokens", "2")
    assert ended.out == " there was\n"
    assert model.asked[0][1] == {"max_tokens": 2}


def test_one_bad_line_ends_that_line_of_raw_text_too(gemsmith_, model, monkeypatch):
    def stream_complete(text):
        if text == "bad":
            raise SamplingError("no")
        return iter([text])

    monkeypatch.setattr(model, "stream_complete", stream_complete, raising=False)
    ended = gemsmith_("run", "pebble", "--raw", stdin="one\nbad\ntwo\n")
    assert (ended.code, ended.out, ended.err) == (1, "one\ntwo\n", "gemsmith: error: no\n")


def test_bye_leaves_raw_text_too(gemsmith_, model, monkeypatch):
    lines = iter(["Once", "/bye", "Twice"])
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    assert gemsmith_("run", "pebble", "--raw", terminal=True).out == " there was\n"


def test_bytes_that_the_locale_could_not_read_are_utf8(gemsmith_, model):
    as_in_the_c_locale = "é\N{SNOWMAN}".encode().decode("ascii", "surrogateescape")
    gemsmith_("run", "pebble", as_in_the_c_locale, "--system", "\udcff", "--stop", as_in_the_c_locale)
    assert texts(model.asked[0][0]) == [("system", "\ufffd"), ("user", "é\N{SNOWMAN}")]
    assert model.asked[0][1]["stop"] == ["é\N{SNOWMAN}"]


def test_raw_goes_line_by_line(gemsmith_, model):
    assert gemsmith_("run", "pebble", "--raw", stdin="Once\nTwice\n").out == " there was\n there was\n"


@pytest.mark.parametrize("option", [("--think",), ("--system", "x")])
def test_raw_has_no_conversation(gemsmith_, model, option):
    ended = gemsmith_("run", "pebble", "--raw", "Once", *option)
    assert ended.code == 2
    assert not model.loaded


def test_an_error_in_mid_answer_is_told_after_what_was_said(gemsmith_, model):
    def answer(messages):
        yield Event("text", "I would")
        raise SamplingError("temperature must be at least 0")

    model.answer = answer
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.out) == (1, "I would\n")
    assert ended.err == "gemsmith: error: temperature must be at least 0\n"


def test_piped_lines_are_prompts_of_their_own(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "--system", "s", stdin="one\n\n  two\n/bye\n")
    assert (ended.code, ended.out, ended.err) == (0, "2: one\n2: two\n2: /bye\n", "")
    assert texts(model.asked[1][0]) == [("system", "s"), ("user", "two")]


def test_no_lines_no_answers(gemsmith_, model):
    assert gemsmith_("run", "pebble").out == ""


def test_one_bad_line_ends_that_line(gemsmith_, model):
    def answer(messages):
        if messages[-1].text == "bad":
            raise SamplingError("no")
        return reply("ok")

    model.answer = answer
    ended = gemsmith_("run", "pebble", stdin="one\nbad\ntwo\n")
    assert (ended.code, ended.out) == (1, "ok\nok\n")
    assert ended.err == "gemsmith: error: no\n"


def test_the_oldest_turns_are_forgotten_when_the_context_is_full(model, capsys):
    def answer(messages):
        if len(messages) > 3:
            raise ContextLengthError(100, 64)
        return reply(str(len(messages)))

    model.answer = answer
    talk = Talk(model, Conversation(), show=lambda heard: show_reply(heard, Page()))
    for line in "abcd":
        talk.ask(line)
    out, err = capsys.readouterr()
    assert out == "1\n3\n3\n3\n" and err.count("forgot the oldest") == 2
    assert texts(model.asked[-1][0]) == [("user", "c"), ("assistant", "3"), ("user", "d")]


def test_a_prompt_that_cannot_fit_is_an_error(gemsmith_, model):
    def answer(messages):
        raise ContextLengthError(100, 64)

    model.answer = answer
    ended = gemsmith_("run", "pebble", stdin="a\n")
    assert (ended.code, ended.out) == (1, "")
    assert "64" in ended.err


def events(ended):
    """The lines of stdout as JSON, with what a clock says left out."""
    lines = [json.loads(line) for line in ended.out.splitlines()]
    for line in lines:
        line.pop("timings", None)
    return lines


def test_json_is_an_event_a_line_and_last_the_message(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "hi", "--think", "--json")
    assert (ended.code, ended.err) == (0, "")
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "total_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    ending = {"usage": usage, "finish_reason": "stop"}
    message = {"role": "assistant", "content": "1: hi", "reasoning_content": "hm", **ending}
    assert events(ended) == [
        {"kind": "thought", "text": "hm"},
        {"kind": "text", "text": "1: "},
        {"kind": "text", "text": "hi"},
        {"kind": "done", "message": message, **ending},
    ]
    timings = json.loads(ended.out.splitlines()[-1])["timings"]
    assert 0 < timings["first_s"] <= timings["total_s"]


def test_json_tells_calls_and_errors(gemsmith_, model):
    def answer(messages):
        yield Event("tool_call", tool_call=ToolCall("weather", {"city": "Zürich"}))
        yield Event("error", "call:oops{", reason="it never ends")
        yield Event("done", message=Message("assistant", (), finish_reason="stop"))

    model.answer = answer
    call, error, _ = events(gemsmith_("run", "pebble", "hi", "--json"))
    assert json.loads(call["tool_call"]["function"]["arguments"]) == {"city": "Zürich"}
    assert error == {"kind": "error", "text": "call:oops{", "reason": "it never ends"}


def test_json_of_a_pipe_ends_every_prompt(gemsmith_, model):
    def answer(messages):
        if messages[-1].text == "bad":
            raise SamplingError("no")
        return reply("half \ud800 \x9b")

    model.answer = answer
    ended = gemsmith_("run", "pebble", "--json", stdin="one\nbad\ntwo\n")
    assert (ended.code, ended.err) == (1, "gemsmith: error: no\n")
    ends = [event for event in events(ended) if event["kind"] in ("done", "failed")]
    assert [event["kind"] for event in ends] == ["done", "failed", "done"]
    assert ends[1] == {"kind": "failed", "error": "SamplingError", "reason": "no"}
    assert ends[0]["message"]["content"] == "half \ud800 \x9b"
    ended.out.encode()


def test_json_of_raw_text(gemsmith_, model):
    *pieces, done = events(gemsmith_("run", "pebble", "--raw", "Once", "--json"))
    assert [piece["text"] for piece in pieces] == [" there", " was"]
    assert done["message"] == {"role": "assistant", "content": " there was"}


def test_json_is_not_for_people(gemsmith_, model):
    assert gemsmith_("run", "pebble", "--json", terminal=True).code == 2


def test_files_stand_before_the_prompt(gemsmith_, model, tmp_path):
    (tmp_path / "a.txt").write_bytes("größe".encode("latin-1"))
    (tmp_path / "b.txt").write_text("two\n")
    files = ["--file", f"{tmp_path}/a.txt", "--file", f"{tmp_path}/b.txt"]
    said = "File: a.txt\n```\ngröße\n```\n\nFile: b.txt\n```\ntwo\n```\n\n"
    ended = gemsmith_("run", "pebble", "what?", *files)
    assert texts(model.asked[0][0]) == [("user", said + "what?")]
    assert "a.txt read as cp1252, a guess" in ended.err and "b.txt" not in ended.err
    assert gemsmith_("run", "pebble", "what?", *files, "--encoding", "latin-1").err == ""
    gemsmith_("run", "pebble", *files, stdin="one\ntwo\n")
    assert [messages[0].text for messages, _ in model.asked[-2:]] == [said + "one", said + "two"]


def test_a_file_that_does_not_fit_is_told_in_tokens(gemsmith_, model, tmp_path):
    (tmp_path / "long.txt").write_text("x" * 1500)
    ended = gemsmith_("run", "pebble", "what?", "--file", f"{tmp_path}/long.txt")
    assert (ended.code, ended.out, model.asked) == (1, "", [])
    assert "long.txt is 1,523 tokens, and the model's context is 1,000" in ended.err


def test_a_question_in_the_models_place_is_told(gemsmith_, model, tmp_path):
    ended = gemsmith_("run", "Why is the sky blue?")
    assert (ended.code, ended.out, model.loaded) == (2, "", [])
    assert 'the model comes before the question: gemsmith run pebble "Why is the sky blue?"' in ended.err
    (tmp_path / "my models").mkdir()
    gemsmith_("run", f"{tmp_path}/my models", stdin="hi\n")
    assert [name for name, _ in model.loaded] == [f"{tmp_path}/my models"]


def test_a_missing_file_costs_no_loading(gemsmith_, model):
    ended = gemsmith_("run", "pebble", "what?", "--file", "nowhere.txt")
    assert (ended.code, model.loaded) == (1, []) and "nowhere.txt" in ended.err


def test_a_conversation_goes_on_from_call_to_call(gemsmith_, model):
    gemsmith_("run", "pebble", "one", "--conversation", "demo", "--system", "s", "--think")
    gemsmith_("run", "pebble", "two", "--conversation", "demo")
    gemsmith_("run", "pebble", "three", "--continue", "--no-think", "--json")
    seen = [("system", "s"), ("user", "one"), ("assistant", "2: one"), ("user", "two"), ("assistant", "4: two")]
    assert texts(model.asked[-1][0]) == [*seen, ("user", "three")]
    assert [options["think"] for _, options in model.asked] == [True, True, False]
    assert gemsmith_("run", "pebble", "alone").out == "1: alone\n"


def test_a_prompt_alone_keeps_nothing(gemsmith_, model, home):
    gemsmith_("run", "pebble", "one")
    gemsmith_("run", "pebble", stdin="one\n")
    assert not home.exists()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("--continue",), 2),
        (("--conversation", "x"), 2),
        (("hi", "--continue", "--conversation", "x"), 2),
        (("hi", "--continue"), 1),
        (("hi", "--conversation", "../x"), 1),
        (("hi", "--conversation", "a\x1bb"), 1),
        (("hi", "--raw", "--conversation", "x"), 2),
        (("hi", "--raw", "--file", "x"), 2),
    ],
)
def test_conversations_that_cannot_be(gemsmith_, model, argv, code):
    ended = gemsmith_("run", "pebble", *argv)
    assert (ended.code, ended.out, model.loaded) == (code, "", [])
    assert ended.err.startswith("gemsmith: error: ")


def test_a_screen_reader_hears_who_speaks(gemsmith_, model, monkeypatch):
    lines = iter(["hi", "/nonsense"])

    def typed(label):
        assert label == "you: "
        return next(lines)

    def type_or_leave(label):
        try:
            return typed(label)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("builtins.input", type_or_leave)
    ended = gemsmith_("run", "pebble", "--plain", "--think", terminal=True)
    assert ended.out.splitlines() == ["1: hi", ""]
    said = [line.partition(":")[0] for line in ended.err.splitlines()]
    assert said == ["note", "thought", "answer", "note"] or said == ["note", "thought", "answer error", "note"]
    assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_chat_leaves_nothing_behind_where_history_is_off(gemsmith_, model, monkeypatch, home, is_kept):
    lines = iter(["hi", "/bye"])
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("GEMSMITH_HISTORY", str(int(is_kept)))
    monkeypatch.setattr("builtins.input", lambda label: next(lines))
    ended = gemsmith_("run", "pebble", terminal=True)
    assert ended.code == 0
    assert home.exists() == ("--continue goes on with it" in ended.err) == is_kept
