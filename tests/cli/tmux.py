"""A person at a real terminal: a tmux server of its own, keys sent to it, and its screen as text.

Every wait is generous and ends at once when what is waited for is there. The server always dies with its `Tmux`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PATIENCE_S = 90.0
EVERY_S = 0.05
COLOUR = re.compile(r"\x1b\[(?:[0-9;:]*[;:])?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:][0-9;:]*)?m")
STYLE = re.compile(r"\x1b\[[0-9;:]*m")


def is_here() -> bool:
    """Whether tmux is installed."""
    return shutil.which("tmux") is not None


class Tmux:
    """One program in one window. Leaving the block ends both."""

    def __init__(
        self, command: str, *, columns: int = 80, rows: int = 24, env: Mapping[str, str] = {}, cwd: Path | None = None
    ) -> None:
        self.columns = columns
        self._folder = tempfile.TemporaryDirectory(prefix="tmux", dir=None)
        self._socket = str(Path(self._folder.name) / "s")  # a socket's path is short
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("TMUX", "NO_COLOR", "COLORTERM"))
        }
        self._env = clean | {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        options = Path(self._folder.name) / "options"
        options.write_text("set -g default-terminal screen-256color\nset -g status off\nset -g escape-time 20\n"
                           "set -g history-limit 5000\n")  # fmt: skip
        settings = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        size = ["-x", str(columns), "-y", str(rows)]
        here = ["-c", str(cwd)] if cwd else []
        self._do("-f", str(options), "new-session", "-d", *size, *settings, *here, f"sh {self._script(command)}")

    def _script(self, command: str) -> Path:
        """Tells us the program's process and exit code: tmux 3.3 now and then misses the end of one."""
        folder = Path(self._folder.name)
        (folder / "inner").write_text(f"echo $$ > {folder}/pid\nexec {command}\n")
        outer = f"trap : INT\nsh {folder}/inner\necho $? > {folder}/part\nmv {folder}/part {folder}/code\nsleep 600\n"
        (folder / "outer").write_text(outer)
        return folder / "outer"

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the program and the server."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, env=self._env)
        self._folder.cleanup()

    def type(self, text: str) -> None:
        """Letters, as a keyboard sends them."""
        self._do("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Keys by name: Enter, C-c, M-Enter, Tab, Up."""
        self._do("send-keys", *keys)

    def say(self, text: str) -> None:
        """A line, sent."""
        self.type(text)
        self.press("Enter")

    def paste(self, text: str) -> None:
        """Many lines at once, in the brackets that a terminal puts around what is pasted."""
        subprocess.run(["tmux", "-S", self._socket, "load-buffer", "-"], input=text.encode(), check=True, env=self._env)
        self._do("paste-buffer", "-p", "-d")

    def resize(self, columns: int, rows: int = 24) -> None:
        """Another window size."""
        self.columns = columns
        self._do("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, *, escapes: bool = False) -> str:
        """What stands in the window; with `escapes`, the codes of its colours too."""
        return self._do("capture-pane", "-p", *(["-e"] if escapes else [])).rstrip()

    def scrolled(self) -> str:
        """All that was printed so far; lines that the window broke are whole again."""
        return self._do("capture-pane", "-p", "-J", "-S", "-").rstrip()

    def wait(self, pattern: str, *, within_s: float = PATIENCE_S, everything: bool = False) -> str:
        """The screen once it shows the pattern; AssertionError with what it shows instead."""
        deadline = time.monotonic() + within_s
        while True:
            shown = self.scrolled() if everything else self.screen()
            if re.search(pattern, shown, re.MULTILINE):
                return shown
            assert time.monotonic() < deadline, f"waited {within_s:.0f} s for {pattern!r}, saw:\n{shown}"
            time.sleep(EVERY_S)

    def wait_for_prompt(self, *, within_s: float = PATIENCE_S) -> str:
        """The screen once an empty prompt stands at its end, with the figures under it."""
        return self.wait(r"^> *\n(?:\s*\n)*[^\n]*context [\d,]+/[\d,]+[^\n]*\Z", within_s=within_s)

    def kill(self) -> None:
        """kill -9."""
        os.kill(int((Path(self._folder.name) / "pid").read_text()), signal.SIGKILL)
        assert self.wait_for_end() == 128 + signal.SIGKILL

    def has_ended(self) -> bool:
        """Whether the program is gone."""
        return (Path(self._folder.name) / "code").exists()

    def wait_for_end(self, *, within_s: float = PATIENCE_S) -> int:
        """The exit code, once there is one."""
        deadline = time.monotonic() + within_s
        while not self.has_ended():
            assert time.monotonic() < deadline, f"still running after {within_s:.0f} s:\n{self.screen()}"
            time.sleep(EVERY_S)
        return int((Path(self._folder.name) / "code").read_text())

    def _do(self, *command: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *command], capture_output=True, text=True, env=self._env)
        assert done.returncode == 0, f"tmux {' '.join(command)}: {done.stderr}"
        return done.stdout
