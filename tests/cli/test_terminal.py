"""The chat as a person sees it, on a real terminal: at 80 and 200 columns, with and without colour."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from gemsmith.cli.chat.commands import COMMANDS

from .media import PNG
from .tmux import COLOUR, STYLE, Tmux, is_here

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not is_here(), reason="tmux is not installed: apt-get install tmux")

# a model that needs no weights: it tells what it saw, and "slow" is a long answer
FAKE = """
import sys, time
from types import SimpleNamespace
import gemsmith.engine
from gemsmith.chat.values import Event, Message, Prompt, Text, ToolCall, Usage
from gemsmith.cli.main import main

class Letters:
    def encode(self, text):
        return list(text)
    def least_tokens(self, num_characters):
        return num_characters // 31

class Model:
    name, max_context, generation, tokenizer = "fake", 2048, SimpleNamespace(do_sample=True), Letters()
    def render(self, messages, **options):
        media = [part for message in messages for part in message.parts if hasattr(part, "source")]
        time.sleep(4 * any(part.source.name == "large.png" for part in media))
        return Prompt((0,) * 10 * len(media) + tuple("".join(message.text for message in messages)))
    def stream(self, messages, tools=(), **options):
        last = messages[-1]
        text = f"seen {len(messages)}, last was {last.text!r}"
        if last.role == "tool":
            text = f"the tool said {last.parts[0].content!r}"
        elif tools:
            call = ToolCall("weather", {"city": "Zürich"}, "c1")
            yield Event("tool_call", tool_call=call)
            yield Event("done", message=Message("assistant", (call,), Usage(9, 9), "tool_calls"))
            return
        for word in range({"slow": 3000, "brief": 100}.get(last.text, 0)):
            yield Event("text", f"word{word} ")
            time.sleep(0.01)
        if last.text == "hostile":
            text = "\\x1b[2J\\x1b[31m\\x07\\x9b1mred"
        yield Event("text", text)
        time.sleep(0.01)
        yield Event("done", message=Message("assistant", (Text(text),), Usage(40, 9), "stop"))

gemsmith.engine.load = lambda source, **options: Model()
sys.exit(main(["run", "fake", *sys.argv[1:]]))
"""


@pytest.fixture
def fake(tmp_path, home):
    """Starts a chat with the model above."""
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    started = []

    def start(options="", *, before="", **window):
        env = {"GEMSMITH_HOME": str(home), "PYTHONPATH": str(ROOT)} | window.pop("env", {})
        started.append(Tmux(f"{before} {sys.executable} {program} {options}", env=env, cwd=tmp_path, **window))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def chat(home, tmp_path):
    """Starts a chat with a model that is in the package."""
    started = []

    def start(options, **window):
        env = {"GEMSMITH_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | window.pop("env", {})
        started.append(Tmux(f"{sys.executable} -m gemsmith run {options}", env=env, cwd=tmp_path, **window))
        return started[-1]

    yield start
    for each in started:
        each.close()


def toolbar_of(screen):
    return screen.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "no colour"])
@pytest.mark.parametrize("columns", [80, 200])
def test_pebble_at_a_terminal(chat, columns, colour):
    with chat("pebble", columns=columns, env={} if colour else {"NO_COLOR": "1"}) as terminal:
        assert "/help lists the commands, /bye leaves" in terminal.wait_for_prompt()
        terminal.say("What is 17 + 25?")
        terminal.wait(r"^> What is 17 \+ 25\?\n42$")
        screen = terminal.wait_for_prompt()
        figures = r"pebble · context \d+/2,048 · \d+ tok/s · thinking off"
        assert re.fullmatch(figures, toolbar_of(screen))

        terminal.type("/s")
        terminal.wait(r"^> /s\n +/save .*\n +/system .*\n +/set .*\n +/stats ")
        terminal.press("Tab")
        terminal.wait(r"^> /save\n")
        terminal.press("C-c")
        terminal.wait_for_prompt()

        terminal.paste("What is\n17 + 25?")
        terminal.wait(r"^> What is\n  17 \+ 25\?\n")
        terminal.press("Enter")
        terminal.wait(r"^  17 \+ 25\?\n\S")
        terminal.wait_for_prompt()
        terminal.say("/help")
        terminal.wait("/bye .*leave")
        terminal.wait_for_prompt()

        coloured = terminal.screen(escapes=True)
        assert bool(STYLE.search(coloured)) == bool(COLOUR.search(coloured)) == colour
        for line in terminal.screen().splitlines():
            assert len(line) <= columns
        terminal.press("C-d")
        assert terminal.wait_for_end() == 0


@pytest.mark.slow
def test_a_person_sees_what_every_command_did(fake, tmp_path):
    (tmp_path / "notes.txt").write_text("some words")
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    seen = {}

    def do(line, pattern):
        terminal.say(line)
        seen[line.split()[0].removeprefix("/")] = terminal.wait(pattern)
        terminal.wait_for_prompt()

    with fake(rows=60) as terminal:
        terminal.wait_for_prompt()
        do("hello", r"^seen 1, last was 'hello'$")
        do("/think on", r"^\(thinking on\)$")
        do("/system Be brief.", r"^\(the system text holds from the next question on\)$")
        do("/file notes.txt", r"^\(notes.txt: \d+ tokens; goes with your next question\)$")
        do("and?", r"^seen 4, last was 'File: notes.txt.*and\?'$")
        do("/retry", r"(?s)(seen 4, .*){2}")
        do("/set temperature 0.5", r"^\(temperature 0.5\)$")
        do("/stats", r"(?s)^\(fake · context 49 of 2,048 tokens \(2%\) · last answer 9 tokens in .*2\squestions")
        do("/image tools.json", r"^\(tools.json: 10 tokens; goes with your next question\)$")
        do("/pdf tools.json 1-3", r"^\(tools.json: 10 tokens; goes with your next question\)$")
        do("/audio notes.txt", r"^\(notes.txt: 10 tokens; goes with your next question\)$")
        do("/video notes.txt", r"(?s)(\(notes.txt: 10 tokens; goes with your next question\).*){2}")
        do("/drop notes.txt", r"^\(dropped: notes.txt, notes.txt\)$")
        do("/save demo", r"^\(saved as demo, and again after every answer\)$")
        assert toolbar_of(terminal.screen()).endswith("thinking on · 1 picture · 1 PDF · demo")
        do("/clear", r"^\(forgotten: this is a new conversation; the old one stays saved as demo\)$")
        assert toolbar_of(terminal.screen()) == "fake · context 9/2,048 · thinking on"  # the system text
        do("/load demo", r"^\(demo: 2 questions, the last was 'File: notes.txt")
        terminal.say("/tools tools.json")
        seen["tools"] = terminal.wait(r"^\(tools: weather; you type what a call returns, nothing is run\)$")
        terminal.say("Weather?")
        terminal.wait(r"^tool call: weather\({\"city\": \"Zürich\"}\)\nweather returns: *$")
        terminal.say('{"sky": "blue"}')
        terminal.wait(r"^the tool said {'sky': 'blue'}$")
        terminal.wait_for_prompt()
        do("/nonsens", r"^error: no command /nonsens; ")
        do("/help", r"^/bye +leave")
        terminal.say("/bye")
        assert terminal.wait_for_end() == 0
    assert seen.keys() >= {name for name, command in COMMANDS.items() if command.help} - {"bye"}


@pytest.mark.slow
def test_keys(fake):
    with fake() as terminal:
        terminal.wait_for_prompt()
        terminal.type("one")
        terminal.press("M-Enter")
        terminal.say("two\\")
        terminal.say("three")
        terminal.wait(r"^seen 1, last was 'one\\ntwo\\nthree'$")
        terminal.wait_for_prompt()
        terminal.say('"""a')
        terminal.say('b"""')
        terminal.wait(r"^seen 3, last was 'a\\nb'$")
        terminal.wait_for_prompt()
        terminal.press("Up")
        terminal.wait(r"^> \"\"\"a\n  b")
        terminal.press("C-c")
        terminal.wait_for_prompt()
        terminal.press("C-c")
        terminal.wait(r"^\(/bye or Ctrl-D leaves\)$")
        terminal.wait_for_prompt()
        terminal.press("C-d")
        assert terminal.wait_for_end() == 0


@pytest.mark.slow
def test_ctrl_c_stops_the_answer_and_not_the_program(fake):
    with fake() as terminal:
        terminal.wait_for_prompt()
        terminal.say("slow")
        terminal.wait("word20")
        terminal.press("C-c", "C-c", "C-c")
        terminal.wait(r"^\(stopped; what was said so far is kept\)$")
        terminal.wait_for_prompt()
        assert "^C" not in terminal.scrolled()
        terminal.say("and?")
        terminal.wait("^seen 3, last was 'and\\?'$")
        terminal.wait_for_prompt()
        assert not terminal.has_ended()


@pytest.mark.slow
def test_what_is_typed_during_an_answer_waits_for_its_end(fake):
    with fake() as terminal:
        terminal.wait_for_prompt()
        terminal.say("brief")
        terminal.wait("word3 ")
        terminal.say("typed meanwhile")
        terminal.wait(r"^> typed meanwhile\nseen 3, last was 'typed meanwhile'$")
        answer = terminal.scrolled().partition("> brief")[2].partition("> typed")[0]
        assert "word99" in answer and "typed" not in answer


@pytest.mark.slow
def test_windows_change_and_letters_are_wide(fake):
    with fake("--conversation 日本語の会話", columns=120) as terminal:
        terminal.wait_for_prompt()
        terminal.say("日本語👍🏽 " + "long " * 60)
        terminal.wait("seen 1, last was")
        terminal.wait_for_prompt()
        whole = r"^fake · context 49/2,048 · [\d,]+ tok/s · thinking off · 日本語の会話\Z"
        narrow = r"^context 49/2,048 · [\d,]+ tok/s\Z"
        for columns, toolbar in ((80, whole), (40, narrow), (24, r"^context 49/2,048\Z"), (200, whole)):
            terminal.resize(columns)
            terminal.wait(toolbar)
            terminal.type("字")
            terminal.wait("^> 字")
            terminal.press("C-c")
            terminal.wait_for_prompt()


@pytest.mark.slow
def test_a_model_cannot_drive_the_terminal(fake):
    with fake() as terminal:
        terminal.wait_for_prompt()
        terminal.say("hostile")
        terminal.wait(r"^␛\[2J␛\[31m␇�1mred$")
        assert "/help lists" in terminal.screen()


PLAIN = [("env TERM=dumb", "", ">"), ("", "--plain", "you:"), ("env GEMSMITH_PLAIN=1", "", "you:")]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "options", "prompt"), PLAIN)
def test_plain_lines_have_no_toolbar_no_colour_and_no_redrawing(fake, before, options, prompt):
    with fake(options, before=before) as terminal:
        terminal.wait(rf"leaves\)?\n{prompt} *$")
        terminal.say('"""one')
        terminal.say('two"""')
        terminal.wait(r"seen 1, last was 'one\\ntwo'$")
        terminal.say("/stats")
        terminal.wait("context 49 of 2,048 tokens")
        assert not STYLE.search(terminal.screen(escapes=True))
        assert terminal.wait(rf"^{prompt}\Z")
        terminal.press("C-d")
        assert terminal.wait_for_end() == 0


@pytest.mark.slow
def test_after_kill_9_continue_goes_on(fake, home):
    with fake() as terminal:
        terminal.wait_for_prompt()
        terminal.say("first")
        terminal.wait("^seen 1")
        terminal.wait_for_prompt()
        terminal.say("second")
        terminal.wait("^seen 3")
        terminal.wait_for_prompt()
        terminal.kill()
    with fake("--continue") as terminal:
        terminal.wait(r"^\(the last conversation: 2 questions, the last was 'second'\)$")
        terminal.wait_for_prompt()
        terminal.say("third")
        terminal.wait("^seen 5, last was 'third'$")
        terminal.wait_for_prompt()
        terminal.press("Up", "Up", "Up")
        terminal.wait("^> first")
    assert (home / "history").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_ctrl_c_stops_a_model_that_babbles(chat):
    with chat("tiny-random-e2b --max-tokens 400 --seed 1") as terminal:
        terminal.wait_for_prompt()
        terminal.say("Tell me everything.")
        terminal.wait(r"(?s)^> Tell me everything\.\n.*\S")
        terminal.press("C-c")
        terminal.wait(r"^\(stopped")
        terminal.wait_for_prompt()
        terminal.say("/stats")
        terminal.wait(r"· [12] question")
        terminal.press("C-d")
        assert terminal.wait_for_end() == 0


@pytest.mark.slow
def test_a_person_shows_a_picture(fake, tmp_path):
    """Its path completed by Tab or dropped into the window; a large one takes patience; the toolbar counts them."""
    for name in ("room one.png", "large.png"):
        (tmp_path / name).write_bytes(PNG)
    with fake("--image-tokens 70") as terminal:
        terminal.wait_for_prompt()
        terminal.type("/ima")
        terminal.wait(r"/image +put a picture before your next question")
        terminal.type("ge ro")
        terminal.press("Tab")
        terminal.wait(r"^> /image room one.png *$")
        terminal.press("Enter", "Enter")  # the first takes the choice
        terminal.wait(r"^\(room one.png: 10 tokens; goes with your next question\)$")
        assert toolbar_of(terminal.wait_for_prompt()).endswith("thinking off · 1 picture")
        terminal.say(f"'{tmp_path}/large.png'")
        terminal.wait(r"(?s)large.png is a picture: /image\s.*\sputs\s+it\s+before\s+your\s+next\s+question\)")
        terminal.wait_for_prompt()
        terminal.say("/image large.png")
        terminal.wait(r"^reading large.png \.\.\.")
        terminal.wait(r"^\(large.png: 10 tokens; goes with your next question\)$")
        assert "reading" not in terminal.wait_for_prompt()
        terminal.say("/image large.png")
        terminal.wait(r"^reading large.png \.\.\.")
        terminal.press("C-c")
        terminal.wait(r"^error: stopped; nothing goes with your next question that did not before$")
        assert toolbar_of(terminal.wait_for_prompt()).endswith("2 pictures")
        terminal.say("/drop large.png")
        terminal.wait(r"^\(dropped: large.png\)$")
        terminal.wait_for_prompt()
        terminal.say("/image nowhere.png")
        terminal.wait(r"^error: /image nowhere.png: No such file or directory; check the path")
        terminal.wait_for_prompt()
        terminal.say("what?")
        terminal.wait(r"^seen 1, last was 'what\?'$")
        assert toolbar_of(terminal.wait_for_prompt()).endswith("thinking off")
        terminal.press("C-d")
        assert terminal.wait_for_end() == 0
    (saved,) = (tmp_path / "home").rglob("last.json")
    part = json.loads(saved.read_text())["messages"][0]["content"][0]
    assert part == {"type": "image", "path": str(tmp_path / "room one.png"), "tokens": 70}
