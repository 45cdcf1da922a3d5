"""A person at a terminal: prompt, commands, Ctrl-C and Ctrl-D, through a pseudo-terminal and the real program."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

pytestmark = pytest.mark.slow  # starts terminals

PROGRAM = """
import sys, time
import gemsmith.engine
from types import SimpleNamespace
from gemsmith.chat.values import Event, Message, Prompt, Text
from gemsmith.cli.main import main

class Model:
    name, max_context, generation = "fake", 1000, SimpleNamespace(do_sample=True)
    def render(self, messages, **options):
        return Prompt(tuple(range(len(messages))))
    def stream(self, messages, **options):
        if messages[-1].text == "slow":
            yield Event("text", "I begin")
            for _ in range(3000):
                time.sleep(0.01)
        text = f"seen {len(messages)} of {messages[0].text}"
        yield Event("text", text)
        yield Event("done", message=Message("assistant", (Text(text),), None, "stop"))

gemsmith.engine.load = lambda source, **options: Model()
sys.exit(main(["run", "fake"]))
"""


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        environment = dict(os.environ, TERM="dumb", INPUTRC=os.devnull)
        self.program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(slave)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait_for(self, text: str, within_s: float = 20) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.shown:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            assert ready, f"waited for {text!r}, saw {self.shown!r}"
            self.shown += os.read(self.master, 4096).decode()
        self.shown = self.shown.partition(text)[2]

    def press_until(self, key: str, text: str) -> None:
        """Press like a person: again after a second, for CPython loses a Ctrl-C that comes as readline() begins."""
        for _ in range(20):
            self.type(key)
            try:
                return self.wait_for(text, within_s=1)
            except AssertionError:
                continue
        raise AssertionError(f"pressed {key!r} in vain for {text!r}, saw {self.shown!r}")

    def exit_code_after(self, key: str) -> int:
        """The same, until the program ends."""
        for _ in range(20):
            self.type(key)
            with suppress(subprocess.TimeoutExpired):
                return self.program.wait(1)
        raise AssertionError(f"pressed {key!r} in vain, saw {self.shown!r}")

    def close(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.master)


def take_terminal() -> None:
    """Make the pseudo-terminal the one whose Ctrl-C reaches this process."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests in the background has it ignored


@pytest.fixture
def terminal():
    it = Terminal()
    yield it
    it.close()


def test_a_conversation(terminal):
    terminal.wait_for("/bye leaves")
    terminal.wait_for("> ")
    terminal.type("one\n")
    terminal.wait_for("seen 1 of one")
    terminal.wait_for("> ")
    terminal.type("two\n")
    terminal.wait_for("seen 3 of one")
    terminal.type("/clear\n")
    terminal.wait_for("forgotten")
    terminal.type("three\n")
    terminal.wait_for("seen 1 of three")
    terminal.type("/help\n")
    terminal.wait_for("/clear              forget")
    terminal.type("/nonsense\n")
    terminal.wait_for("no command /nonsense")
    terminal.type("/bye\n")
    assert terminal.program.wait(10) == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(terminal):
    terminal.wait_for("> ")
    terminal.type("slow\n")
    terminal.wait_for("I begin")
    terminal.type("\x03")
    terminal.wait_for("stopped")
    terminal.wait_for("> ")
    terminal.type("next\n")
    terminal.wait_for("seen 3 of slow")
    terminal.wait_for("> ")
    terminal.press_until("\x03", "leaves")
    assert terminal.program.poll() is None
    assert terminal.exit_code_after("\x04") == 0
