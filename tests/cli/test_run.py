"""`gemsmith run`: what the model is asked, and what stands on stdout and on stderr."""

from __future__ import annotations

import pytest

from gemsmith.chat.values import Event, Message, Text, ToolCall
from gemsmith.cli.chat import Conversation
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
    talk = Conversation(model.stream, None)
    for line in "abcd":
        talk.answer(line)
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
