"""What can go wrong around the native engine: it is told, and what was there before goes on as if nothing had been.

Much of this once ended or stopped the whole process, and so runs in one of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gemsmith
from gemsmith import kernels
from gemsmith.config import preset
from gemsmith.errors import ModelFileError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import pack_in_memory, write_pack
from gemsmith.formats.pack.content import content as content_of_tensors
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.runtime.cpu import CpuRuntime, lower
from gemsmith.runtime.protocol import Run

if not kernels.available():
    pytest.skip("the native engine is not built", allow_module_level=True)

pytestmark = pytest.mark.slow
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and LD_PRELOAD are Linux's")
limited = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer maps terabytes of addresses: no limit holds"
)

FORK = """
import os, signal, sys, time, gemsmith
model = gemsmith.load("pebble", threads=3)
model.chat("What is 1 + 2?", max_tokens=1)
time.sleep(0.3)  # its threads are asleep
child = os.fork()
if child == 0:
    signal.alarm(20)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
LIMITED = """
import resource, gemsmith
from gemsmith.runtime.protocol import Run

def limit(room):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room if room else resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
NO_THREADS = """
gemsmith.load("pebble", threads=1)
limit(256 << 20)
try: gemsmith.load("pebble", threads=200)
except gemsmith.GemsmithError as error: print(error)
limit(0)
print(gemsmith.load("pebble", threads=2).chat("What is 1 + 2?", temperature=0).text)
"""
NO_MEMORY = """
ids = list(range(300, 556))
reference, runtime = (gemsmith.load("pebble", threads=2).runtime for _ in range(2))
few, all_ = Run(reference.new(), ids[:9], range(9)), Run(reference.new(), ids, range(64))
few_logits, all_logits = reference.step([few]).logits, reference.step([all_]).logits
refused = 0
for room in range(1 << 18, 1 << 26, 1 << 18):
    sequence = runtime.new()
    rows = None
    limit(room)
    try:
        rows = runtime.step([Run(sequence, ids, range(64))])
        logits = rows.logits
        break
    except MemoryError:
        refused += 1
    finally:
        limit(0)
    if rows is None:
        assert runtime.length(sequence) == 0
        assert (runtime.step([Run(sequence, ids[:9], range(9))]).logits == few_logits).all()
assert (logits == all_logits).all()
print(refused)
"""
INTERRUPTED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
ssize_t pread(int file, void *to, size_t count, off_t at) {
    static __thread int calls;
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    if (calls++ % 2) return real(file, to, count, at);
    errno = EINTR;
    return -1;
}
ssize_t pread64(int file, void *to, size_t count, off_t at) { return pread(file, to, count, at); }
"""


def said(code: str, **variables: str) -> str:
    """What a process of its own prints; its last words where it fails."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_of_a_process_with_a_model_ends() -> None:
    assert said(FORK) == "7"


def test_an_instruction_set_that_is_not_there_is_told() -> None:
    code = 'import gemsmith\ntry: gemsmith.load("pebble")\nexcept gemsmith.GemsmithError as error: print(repr(error))'
    told = said(code, GEMSMITH_ISA="abacus")
    assert told.startswith("SettingError") and "GEMSMITH_ISA asks for 'abacus'" in told


@on_linux
@limited
def test_threads_that_cannot_be_started_are_told() -> None:
    told, reply = said(LIMITED + NO_THREADS).splitlines()
    assert told.startswith("of 200 threads the system started ") and told.endswith("with fewer (--threads)")
    assert "3" in reply


@on_linux
@limited
def test_a_step_without_memory_changes_nothing() -> None:
    assert int(said(LIMITED + NO_MEMORY)) > 0


@on_linux
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_signal_while_rows_are_read_is_no_fault(tmp_path: Path) -> None:
    """`pread` that a signal stops each other time: on a network's disk it does so now and then."""
    pytest.importorskip("torch")
    from tests.model.whole import save_random

    save_random(preset("tiny-random-e2b"), 3, tmp_path / "model", sharpness=0.2)
    write_pack(tmp_path / "pack", open_checkpoint(tmp_path / "model"), "q8")
    (tmp_path / "shim.c").write_text(INTERRUPTED)
    shim = tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", f"{shim}", f"{tmp_path / 'shim.c'}", "-ldl"], check=True)
    pack = str(tmp_path / "pack")
    code = f"import gemsmith\nprint(gemsmith.load({pack!r}, threads=1).logits([2, 5, 6])[-1].tolist())"
    assert said(code, LD_PRELOAD=f"{shim}") == said(code)


def test_a_padding_token_without_a_row_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.model.whole import save_random

    config = preset("tiny-random-e2b")
    rows = config.text.vocab_size - 96
    text = replace(config.text, vocab_size_per_layer_input=rows, pad_token_id=config.text.vocab_size - 1)
    save_random(replace(config, text=text, image_token_id=300), 3, tmp_path, sharpness=0.2)
    pack = pack_in_memory(open_checkpoint(tmp_path), "exact")
    with pytest.raises(ModelFileError, match=f"padding token {text.pad_token_id} is outside .* {rows} rows"):
        CpuRuntime(pack.config, lower(pack.config.text, pack.tensors, dtype="float32"))


def test_a_sequence_stands_in_a_batch_once() -> None:
    runtime = gemsmith.load("pebble", threads=1).runtime
    first, second = runtime.new(), runtime.new()
    with pytest.raises(ValueError, match=f"sequence {first} stands in one batch twice"):
        runtime.step([Run(first, [5], [0]), Run(second, [6], [0]), Run(first, [7], [0])])
    assert runtime.length(first) == runtime.length(second) == 0
    alone = runtime.step([Run(first, [5], [0])]).logits
    np.testing.assert_array_equal(runtime.step([Run(second, [5], [0])]).logits, alone)


def test_packing_takes_the_cores_that_this_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()

    def content(*arguments: object) -> object:
        asked.add(arguments[-1])
        return content_of_tensors(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("gemsmith.formats.pack.write.content", content)
    monkeypatch.setattr(os, "cpu_count", lambda: 999)
    write_pack(tmp_path / "pack", open_checkpoint(DEFAULT_TOKENIZER.parent), "q4")
    assert asked == {kernels.native().default_threads()}
