"""`gemsmith batch`: lines in, answers out, in order; errors, limits, changed inputs, progress, and going on."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time

import pytest
from filelock import FileLock
from rich.console import Console

import gemsmith.engine
from gemsmith.chat.values import Event, Message, Text, Usage
from gemsmith.cli.batch import progress
from gemsmith.cli.batch.progress import Tally, Ticker, figures, summary
from gemsmith.cli.batch.stopping import Stop, Stopped
from gemsmith.engine.batch.answers import Answer
from gemsmith.errors import ContextLengthError, ModelFileError, NumericalError
from tests.cli.conftest import reply


@pytest.fixture
def batch(gemsmith_, model, tmp_path, monkeypatch):
    """`batch("one\\ntwo", "--limit", "1")` answers these lines; `.lines` are the output's."""
    monkeypatch.chdir(tmp_path)

    def call(text, *flags, name="out.jsonl", terminal=False):
        if text is not None:
            (tmp_path / "in.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
        ended = gemsmith_("batch", "in.jsonl", "-o", name, "--model", "pebble", *flags, terminal=terminal)
        out = tmp_path / name
        ended.lines = [json.loads(line) for line in out.read_bytes().splitlines()] if out.is_file() else None
        return ended

    return call


def left(tmp_path):
    return {path.name for path in tmp_path.iterdir()} - {"in.jsonl"}


def test_every_form_of_a_line_is_answered_in_order(batch, model, tmp_path):
    openai = {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions",
              "body": {"model": "gpt-x", "messages": [{"role": "user", "content": "d"}]}}  # fmt: skip
    model.answer = lambda messages: reply("to ", getattr(messages[-1], "text", None) or messages[-1]["content"])
    ended = batch(f'"a"\n\n{{"prompt": "b", "id": 7}}\n{{"messages": [{{"role":"user","content":"c"}}]}}\n'
                  f"{json.dumps(openai)}")  # fmt: skip
    assert ended.code == 0 and ended.out == ""
    assert [line.get("text") for line in ended.lines] == ["to a", "to b", "to c", None]
    assert ended.lines[0] == {
        "line": 1, "reply": {"role": "assistant", "content": "to a"}, "text": "to a", "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2,
                  "completion_tokens_details": {"reasoning_tokens": 0}}}  # fmt: skip
    assert (ended.lines[1]["id"], ended.lines[2]["line"], ended.lines[3]["custom_id"]) == (7, 4, "c")
    assert ended.lines[3]["response"]["body"]["choices"][0]["message"]["content"] == "to d"
    assert left(tmp_path) == {"out.jsonl"}
    assert "4 lines, none failed, 4 tokens, " in ended.err
    assert "1 line named another model (gpt-x); pebble answered" in ended.err


def test_flags_hold_for_lines_that_do_not_say_otherwise(batch, model):
    batch('"a"\n{"prompt": "b", "temperature": 1, "think": false}', "--temperature", "0", "--think", "--system", "S",
          "--max-tokens", "9", "--seed", "3", "--max-context", "99")  # fmt: skip
    assert model.loaded == [("pebble", {"max_context": 99})]
    (messages, first), (_, second) = model.asked
    assert [(m.role, m.text) for m in messages] == [("system", "S"), ("user", "a")]
    assert (first["temperature"], first["think"], first["max_tokens"]) == (0, True, 9)
    assert (second["temperature"], second["think"], second["max_tokens"]) == (1, False, 9)
    assert first["seed"] != second["seed"]


HOSTILE = [
    b'"\xff\xfe"', b'"\x00"', b"\x00", b"[" * 10**5, b'{"prompt":' * 10**5, b"1e999", b"NaN", b'{"prompt": "\\ud800"}',
    b'{"prompt": "a", "prompt": "b"}', b"9" * 10**4, b"-", b"{}", b"[]", b"null", b"'a'", b'"a" "b"',
    b'{"prompt": "a", "top_k": 1e5}', b'{"prompt": "a", "\\u0000": 1}', b'{"prompt": "a", "id": ' + b"9" * 4000 + b"}",
    b'{"custom_id": "x", "body": []}', b'{"messages": [' + b"[" * 60 + b"]" * 60 + b"]}", "é".encode("utf-16"),
]  # fmt: skip


def test_hostile_lines_are_errors_of_their_own(batch, model):
    """Against the real checks behind `stream`: the fake model answers whatever reaches it."""
    model.answer = lambda messages: reply("ok") if isinstance(messages[-1], Message) else 1 / 0
    ended = batch(b"\n".join([b'"good"', *HOSTILE, b'"good"']))
    assert ended.code == 1
    assert [ended.lines[i].get("text") for i in (0, -1)] == ["ok", "ok"]
    assert len(ended.lines) == len(HOSTILE) + 2
    kinds = [line["error"]["type"] if line.get("error") else None for line in ended.lines[1:-1]]
    assert kinds.count("RequestError") >= len(HOSTILE) - 3
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_hostile_lines_meet_the_real_model(gemsmith_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([*HOSTILE, b'"What is 17 + 25?"']))
    ended = gemsmith_("batch", "in.jsonl", "-o", "out.jsonl", "--temperature", "0", "--max-tokens", "8")
    *bad, good = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert good["text"] == "42"
    assert "internal" not in str(bad) and len(bad) == len(HOSTILE)
    assert ended.code == 1 and f"{len(bad) + 1} lines, {len(bad)} failed" in ended.err.replace("\n", " ")


@pytest.mark.parametrize(
    "error, kind",
    [
        (ContextLengthError(9, 8), "ContextLengthError"),
        (NumericalError("NaN"), "NumericalError"),
        (MemoryError(), "MemoryError"),
        (RecursionError("deep"), "internal"),
        (KeyError("x"), "internal"),
    ],
)
def test_one_lines_error_does_not_stop_the_rest(batch, model, error, kind):
    def answer(messages):
        yield Event("text", "half")
        if messages[-1].text == "b":
            raise error
        yield from reply("ok")

    model.answer = answer
    ended = batch('"a"\n"b"\n"c"\n')
    assert ended.code == 1
    assert [line.get("text") for line in ended.lines] == ["ok", None, "ok"]
    assert ended.lines[1]["error"]["type"] == kind
    assert ("--debug shows where" in ended.err) == (kind == "internal")
    assert "Traceback" not in ended.err


def test_debug_shows_where_a_bug_is(batch, model):
    model.answer = lambda messages: {}["oops"]
    ended = batch('"a"\n', "--debug")
    assert ended.code == 1
    assert "line 1:\nTraceback" in ended.err and "KeyError: 'oops'" in ended.err


def test_a_model_whose_files_are_gone_ends_the_batch(batch, model, tmp_path):
    def answer(messages):
        if messages[-1].text == "b":
            raise ModelFileError("weights were changed while the model ran")
        return reply("ok")

    model.answer = answer
    ended = batch('"a"\n"b"\n"c"\n')
    assert (ended.code, ended.lines) == (1, None)
    assert "weights were changed" in ended.err
    model.answer = None
    assert [line["text"] for line in batch(None).lines] == ["ok", "1: b", "1: c"]


def test_limit_and_going_on_without_it_are_two_batches(batch):
    assert len(batch('"a"\n\n"b"\n"c"', "--limit", "2").lines) == 2
    ended = batch(None)
    assert ended.code == 1
    assert "out.jsonl is there already; --overwrite" in ended.err
    assert len(batch(None, "--overwrite").lines) == 3


def test_too_many_errors_stop_it_and_more_may_be_allowed(batch, tmp_path):
    ended = batch('"a"\nx\ny\n"b"', "--max-errors", "1")
    assert (ended.code, ended.lines) == (1, None)
    assert "2 lines failed, more than --max-errors 1, after 3 lines" in ended.err
    assert left(tmp_path) == {"out.jsonl.part", "out.jsonl.part.json"}
    again = batch(None, "--max-errors", "1")
    assert (again.code, again.lines) == (1, None)
    ended = batch(None, "--max-errors", "2")
    assert ended.code == 1
    assert [line.get("text") for line in ended.lines] == ["1: a", None, None, "1: b"]


def interrupted(batch, model, text, at, *flags):
    """A batch that dies at the prompt `at` of something that no line's error is."""

    def answer(messages):
        if messages[-1].text == at:
            raise SystemExit(3)
        return reply(f"to {messages[-1].text}")

    model.answer = answer
    ended = batch(text, *flags)
    assert (ended.code, ended.lines) == (3, None)
    model.answer = lambda messages: reply(f"to {messages[-1].text}")
    return ended


@pytest.mark.parametrize("at, words", [("b", "1 answer that is"), ("c", "2 answers that are")])
def test_going_on_is_told_in_good_english(at, words, batch, model):
    interrupted(batch, model, '"a"\n"b"\n"c"\n', at)
    assert f"going on behind {words} there already" in batch(None).err


def test_a_model_that_was_not_named_is_told_by_its_flag(gemsmith_, model, tmp_path):
    (tmp_path / "in").write_text('"a"\n')
    assert "(no --model given: pebble (default))" in gemsmith_("batch", str(tmp_path / "in"), "-o", "-").err


def test_an_interrupted_batch_goes_on_and_ends_the_same(batch, model, tmp_path):
    text = 'x\n"a"\n"b"\n"c"\n'
    interrupted(batch, model, text, "b")
    before = len(model.asked)
    ended = batch(None)
    assert [call[0][-1].text for call in model.asked[before:]] == ["b", "c"]
    assert "going on behind 2 answers" in ended.err
    assert "4 lines (2 of them before), 1 failed" in ended.err
    assert ended.code == 1
    whole = (tmp_path / "out.jsonl").read_bytes()
    batch(text, name="other.jsonl")
    assert (tmp_path / "other.jsonl").read_bytes() == whole


@pytest.mark.parametrize("change, words", [
    (['"z"\n"b"\n'], "other lines in its input"),
    ([None, "--seed", "4"], "--seed 0, and not 4"),
    ([None, "--temperature", "0"], "--temperature not set, and not 0.0"),
    ([None, "--limit", "1"], "--limit not set, and not 1"),
    ([None, "--kv", "q8"], '--kv "bf16", and not "q8"'),
])  # fmt: skip
def test_another_input_or_setting_does_not_go_on(batch, model, tmp_path, change, words):
    interrupted(batch, model, '"a"\n"b"\n', "b")
    ended = batch(*change)
    assert (ended.code, ended.lines) == (1, None)
    assert words in ended.err and "--restart" in ended.err
    assert (tmp_path / "out.jsonl.part").read_bytes().count(b"\n") == 1
    assert batch(*change, "--restart").code == 0


def test_two_batches_do_not_write_one_output(batch, tmp_path):
    with FileLock(tmp_path / "out.jsonl.part.lock"):
        ended = batch('"a"\n')
    assert (ended.code, ended.lines) == (1, None)
    assert "another batch is writing" in ended.err
    assert batch(None).code == 0


@pytest.mark.parametrize("change, code, words", [
    (b'"a"\n"B"\n', 1, "was changed while the batch ran"),
    (b'"a"\n', 1, "was changed while the batch ran"),
    (b'"a"\n"b"\n"c"\n', 1, "has grown"),
    (b'"a"\n"b"\n\n', 1, "has grown"),
    (b'"a"\n"b"\n', 0, "touched or replaced"),
])  # fmt: skip
def test_an_input_that_changes_is_told(batch, model, tmp_path, change, code, words):
    path = tmp_path / "in.jsonl"

    def answer(messages):
        if messages[-1].text == "a":
            path.write_bytes(change)
            os.utime(path, (1, 1))
        return reply("ok")

    model.answer = answer
    # longer than what a reader reads ahead, so that a change behind the first line is seen
    ended = batch(b'"a"\n"b"\n' if len(change) > 4 and b"B" not in change else b'"a"\n' + b" " * 10**6 + b'"b"\n')
    assert ended.code == code
    assert words in " ".join(ended.err.split())
    assert (ended.lines is None) == ("was changed" in words)


@pytest.mark.parametrize("argv, words", [
    (["in.jsonl", "-o", "in.jsonl"], "input and output at once"),
    (["in.jsonl", "-o", "no/out.jsonl"], "there is no folder"),
    (["in.jsonl", "-o", "."], "no regular file"),
    (["missing.jsonl", "-o", "out.jsonl"], "cannot open missing.jsonl"),
    ([".", "-o", "out.jsonl"], "not a regular file"),
    (["in.jsonl", "-o", "out.jsonl", "--model", "peble"], "did you mean 'pebble'"),
])  # fmt: skip
def test_places_that_cannot_be(gemsmith_, model, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('"a"\n')
    ended = gemsmith_("batch", *argv)
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert left(tmp_path) == set() and (tmp_path / "in.jsonl").read_text() == '"a"\n'


@pytest.mark.parametrize("flags", [["--limit", "0"], ["--max-errors", "-1"], ["--limit", "x"], ["--top-k", "-3"]])
def test_impossible_flags(batch, flags):
    assert batch('"a"', *flags).code == 2


def test_an_empty_input_is_answered_by_an_empty_output(batch, tmp_path):
    ended = batch("\n\n")
    assert (ended.code, ended.lines) == (0, [])
    assert "0 lines, none failed" in ended.err


def test_an_output_behind_a_link_is_replaced_there(batch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "real" / "out.jsonl")
    assert batch('"a"').code == 0
    assert (tmp_path / "out.jsonl").is_symlink() and (tmp_path / "real" / "out.jsonl").is_file()


def test_answers_on_stdout(gemsmith_, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('"a"\n"b"\n')
    ended = gemsmith_("batch", "in.jsonl", "-o", "-")
    assert ended.code == 0
    assert [json.loads(line)["text"] for line in ended.out.splitlines()] == ["1: a", "1: b"]
    assert "2 lines, none failed" in ended.err and left(tmp_path) == set()
    assert gemsmith_("batch", "in.jsonl", "-o", "-", "--restart").code == 2


def test_a_terminal_gets_answers_harmlessly(gemsmith_, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('"a\\u001b[31m\\u009b31m"\n')
    ended = gemsmith_("batch", "in.jsonl", "-o", "-", terminal=True)
    assert "\x1b[31m" not in ended.out and "\x9b" not in ended.out


PIPED = """if True:
    import sys
    import gemsmith.engine
    from gemsmith.chat.values import Event, Message, Text
    from gemsmith.cli.main import main
    class Model:
        def stream(self, messages, **options):
            text = messages[-1].text
            if text == "end": raise SystemExit(3)
            yield Event("done", message=Message("assistant", (Text("to " + text),), finish_reason="stop"))
    gemsmith.engine.load = lambda source, **options: Model()
    sys.exit(main(["batch", *sys.argv[1:]]))"""


def piped(tmp_path, text, *argv, **environment):
    return subprocess.run(
        [sys.executable, "-c", PIPED, *argv], input=text, capture_output=True, cwd=tmp_path,
        env=os.environ | {"COLUMNS": "200", **environment},
    )  # fmt: skip


@pytest.mark.slow
def test_pipes_on_both_sides(tmp_path):
    done = piped(tmp_path, '"é"\n"b"\n'.encode(), "-", "-o", "-", "--limit", "1", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0
    assert json.loads(done.stdout)["text"] == "to é"
    assert b"1 line, none failed" in done.stderr


@pytest.mark.slow
def test_a_pipe_cannot_go_on_and_says_so(tmp_path):
    done = piped(tmp_path, b'"a"\n"end"\n', "-", "-o", "out.jsonl")
    assert done.returncode == 3
    assert b"a pipe cannot be read twice" in done.stderr
    assert (tmp_path / "out.jsonl.part").read_bytes().count(b"\n") == 1
    done = piped(tmp_path, b'"a"\n', "-", "-o", "out.jsonl")
    assert done.returncode == 1 and b"--restart" in done.stderr
    done = piped(tmp_path, b'"a"\n', "-", "-o", "out.jsonl", "--restart")
    assert done.returncode == 0
    assert left(tmp_path) == {"out.jsonl"}


@pytest.mark.slow
def test_memory_stays_bounded_whatever_the_size_of_the_input(tmp_path):
    """A line of 400 MB, under a limit that it does not fit into."""
    with (tmp_path / "in.jsonl").open("wb") as file:
        file.truncate(400 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b'\n"b"\n')
    program = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (320 << 20,) * 2)\n" + PIPED
    done = subprocess.run([sys.executable, "-c", program, "in.jsonl", "-o", "out.jsonl"], cwd=tmp_path)
    long, good = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert done.returncode == 1
    assert good["text"] == "to b"
    assert "longer than 16 MiB" in long["error"]["message"]


def test_a_signal_is_heeded_where_it_is_allowed_and_kept_elsewhere():
    import signal

    stop, steps = Stop(), []
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would we
    with stop.installed():
        os.kill(os.getpid(), signal.SIGTERM)
        steps.append("outside")
        with pytest.raises(Stopped) as stopped, stop.allowed():
            steps.append("never")
        assert stopped.value.exit_code == 143
        other = Stop()
        with other.installed(), pytest.raises(Stopped), other.allowed():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
            steps.append("never")
    assert steps == ["outside"] and signal.getsignal(signal.SIGTERM) is before


def tally(**fields):
    return Tally(**({"total": 1000, "start_s": time.monotonic() - 10} | fields))


def test_figures_of_progress():
    assert figures(tally(done=250, num_tokens=4500))[:2] == ["250 of 1,000 lines", "450 tokens/s"]
    assert figures(tally(done=250, num_tokens=4500))[-1] == "30 s left"
    assert figures(tally(done=250, before=150, errors=1))[1:] == ["1 error", "0.0 tokens/s", "1 min 15 s left"]
    assert figures(tally(total=None, done=3)) == ["3 lines", "0.0 tokens/s"]
    assert figures(tally(done=1000, errors=2))[1] == "2 errors" and len(figures(tally(done=1000))) == 2
    assert summary(tally(done=1000, before=400, errors=3, num_tokens=50), "out.jsonl") == (
        "1,000 lines (400 of them before), 3 failed, 50 tokens, 5.0 tokens/s, 10 s: out.jsonl"
    )


def test_a_tally_counts():
    counted = Tally()
    counted.num_heard = 5
    counted.add(Answer(1, b"", 7), "pebble")
    counted.add(Answer(2, b"", error=KeyError("x")), "pebble")
    counted.add(Answer(3, b"", error=NumericalError("x"), model="gpt"), "pebble")
    assert (counted.done, counted.errors, counted.internal, counted.num_tokens, counted.num_heard) == (3, 2, 1, 7, 0)
    assert counted.others == {"gpt": 1}


def test_a_plain_line_every_ten_seconds(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    ticker = Ticker(Tally(total=5, done=2, start_s=90.0))
    for now[0] in (101.0, 109.0, 110.0, 115.0, 120.5):
        ticker.moved()
    assert capsys.readouterr().err.splitlines() == [
        "2 of 5 lines, 0.0 tokens/s, 30 s left",
        "2 of 5 lines, 0.0 tokens/s, 46 s left",
    ]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_bar_fits_its_terminal(batch, monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = batch("".join(f'"{i}"\n' for i in range(3)) + "x\n", terminal=True)
    assert ended.code == 1
    assert "4 of 4 lines, 1 error" in ended.err
    plain = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", ended.err)
    drawn = [line for line in re.split(r"[\r\n]+", plain) if "of 4 lines" in line]
    assert drawn and all(len(line) <= columns for line in drawn)


@pytest.mark.parametrize("columns", [80, 200])
def test_long_figures_stay_on_one_line(columns):
    terminal = io.StringIO()
    console = Console(file=terminal, width=columns, force_terminal=True, color_system=None)
    large = tally(total=1_234_567, done=345_678, before=300_000, errors=1_234, num_tokens=123_456)
    drawn = progress.bar(console, large)
    drawn.add_task("", total=large.total, completed=large.done)
    console.print(drawn.get_renderable())
    (line,) = terminal.getvalue().splitlines()
    assert len(line.rstrip()) <= columns - 3
    assert line.rstrip().endswith("left") and "1,234 errors" in line


def test_a_screen_reader_and_a_dumb_terminal_get_lines(batch, monkeypatch):
    for flags, term in ((["--plain"], "xterm"), ([], "dumb")):
        monkeypatch.setenv("TERM", term)
        ended = batch('"a"\n', "--overwrite", *flags, terminal=True)
        assert ended.code == 0 and "\x1b" not in ended.err and "\r" not in ended.err


@pytest.mark.slow
def test_sampled_answers_repeat_with_their_seed(tmp_path, monkeypatch, gemsmith_):
    model = gemsmith.engine.load("pebble", threads=1)
    monkeypatch.setattr(gemsmith.engine, "load", lambda source, **options: model)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('"Tell me something."\n' * 4)

    def run(*flags):
        assert gemsmith_("batch", "in.jsonl", "-o", "o", "--overwrite", "--temperature", "5", "--max-tokens", "12",
                         "--top-k", "0", "--top-p", "1", *flags).code == 0  # fmt: skip
        return [json.loads(line)["text"] for line in (tmp_path / "o").read_bytes().splitlines()]

    first = run()
    assert run() == first
    assert len(set(first)) > 1  # lines differ though they ask the same
    assert run("--seed", "1") != first


def test_usage_of_an_answer_counts_tokens(batch, model):
    def answer(messages):
        yield Event("done", message=Message("assistant", (Text("x"),), Usage(3, 20), "length"))

    model.answer = answer
    assert "2 lines, none failed, 40 tokens" in batch('"a"\n"b"\n').err
