"""What a person sees when a model is packed at its first use, at a terminal and in a pipe, and when it is stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith import kernels
from gemsmith.cli.packing import say_engine
from gemsmith.runtime import probe
from tests.cli.tmux import Tmux, is_here
from tests.hostile.checkpoint import write_checkpoint

pytestmark = pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")

ROOT = Path(__file__).parents[2]
SLOW = """
import sys, time
from gemsmith.engine import loading, packing
from gemsmith.formats.pack import write
loading.has_torch, packing.IN_MEMORY = lambda: False, 0
content = write.content

def slow(*args):
    for piece in content(*args):
        time.sleep(0.015)
        yield piece

write.content = slow
from gemsmith.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def first_use(tmp_path: Path, home: Path) -> Iterator[Callable[[], Tmux]]:
    """Starts `gemsmith run MODEL` with a model that is packed slowly."""
    write_checkpoint(tmp_path / "model", "BF16")
    (tmp_path / "slow.py").write_text(SLOW)
    started: list[Tmux] = []

    def start() -> Tmux:
        env = {"GEMSMITH_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = f"{sys.executable} slow.py run ./model --raw hi --max-tokens 1"
        started.append(Tmux(command, env=env, cwd=tmp_path, columns=80))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.slow
@pytest.mark.skipif(not is_here(), reason="no tmux")
def test_a_bar_at_a_terminal_once_and_nothing_after_ctrl_c(first_use: Callable[[], Tmux], home: Path) -> None:
    with first_use() as terminal:
        terminal.wait(r"^packing .*[1-9]\d?%")
        shown = terminal.scrolled()
        assert "(packing model for the native engine, once: " in shown.replace("\n", " ") and str(home)[:20] in shown
        terminal.press("C-c")
        assert terminal.wait_for_end() == 130
        assert "(stopped; nothing was left behind, and the same command packs anew)" in terminal.scrolled()
    assert [each.name for each in (home / "packs").iterdir()] == [".lock"]
    with first_use() as terminal:
        assert terminal.wait_for_end() == 0
        shown = terminal.scrolled()
        assert "100%" in shown and "from now on it starts at once)" in shown
        assert all(len(line) <= 80 for line in terminal.screen().splitlines())
    with first_use() as terminal:
        assert terminal.wait_for_end() == 0
        assert "pack" not in terminal.scrolled()


@pytest.fixture
def gguf(tmp_path: Path) -> str:
    """A path that is taken for a GGUF file."""
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    return str(tmp_path / "m.gguf")


def test_a_gguf_beside_a_gpu_says_who_computes_and_how_to_choose(
    gguf: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gemsmith.runtime.select.has_torch", lambda: True)
    for gpu, choices, said in (
        (
            "cuda",
            {},
            f"({gguf} runs on the processor, with the native engine; on the GPU, with torch: --device cuda)\n",
        ),
        ("cuda", {"device": "cuda"}, ""),
        ("cuda", {"backend": "cpu"}, ""),
        ("", {}, ""),
    ):
        monkeypatch.setattr(probe, "torch_gpu", lambda gpu=gpu: gpu)
        say_engine(gguf, choices)
        assert capsys.readouterr().err == said
    monkeypatch.setattr(probe, "torch_gpu", lambda: "cuda")
    say_engine("pebble", {})
    monkeypatch.setattr("gemsmith.runtime.select.has_torch", lambda: False)
    say_engine(gguf, {})
    assert capsys.readouterr().err == ""


def test_a_gpu_is_found_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.setattr(probe.sys, "platform", "linux")
    assert probe.torch_gpu() == ""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "kfd").touch()
    assert probe.torch_gpu() == "cuda"
    (tmp_path / "dev" / "kfd").unlink()
    monkeypatch.setattr(probe, "nvidia_cards", lambda: ("NVIDIA H200",))
    assert probe.torch_gpu() == "cuda"


def test_a_name_that_leads_nowhere_is_for_load_to_refuse(gemsmith_: Callable[..., Any]) -> None:
    ended = gemsmith_("run", "no-such-model", "hi")
    assert ended.code == 1 and ended.err.startswith("gemsmith: error: no model 'no-such-model'")
