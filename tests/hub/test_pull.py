"""Pulling from a hub that does everything right: what is asked for, what is left alone, what is said."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from filelock import FileLock

from gemsmith.errors import DownloadError
from gemsmith.hub import resolve
from gemsmith.hub.cache import find
from gemsmith.hub.connection import Connection
from gemsmith.hub.known import Wanted
from gemsmith.hub.partial import Partial
from gemsmith.hub.pull import Terms, pull
from gemsmith.hub.report import Plan
from gemsmith.hub.repository import RemoteFile
from gemsmith.hub.store import Store
from tests.hub.conftest import NEEDED, REPO, assert_whole_or_invisible, small_files
from tests.hub.imitation import Imitation, hub_sum

pytestmark = pytest.mark.slow

E2B = Wanted(REPO)


class Heard:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.notes: list[str] = []
        self.moved = 0
        self.is_done = False

    def plan(self, plan: Plan) -> None:
        self.plans.append(plan)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def move(self, name: str, nbytes: int) -> None:
        self.moved += nbytes

    def done(self, plan: Plan) -> None:
        self.is_done = True


def test_what_is_needed_is_fetched_and_nothing_else(hub: Imitation, cache: Path) -> None:
    files = small_files()
    commit = hub.add(REPO, files)
    heard = Heard()
    folder = pull(E2B, Terms(), heard)
    assert folder == cache / "models--google--gemma-4-E2B-it" / "snapshots" / commit
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {name: files[name] for name in NEEDED}
    assert assert_whole_or_invisible(cache, hub)
    (plan,) = heard.plans
    total = sum(len(files[name]) for name in NEEDED)
    assert (plan.num_files, plan.nbytes, plan.missing, plan.commit) == (5, total, total, commit)
    assert heard.moved == total and heard.is_done
    assert not list(folder.parents[1].glob(".gemsmith*"))


def test_huggingface_hub_finds_what_we_fetched_and_we_what_it_did(hub: Imitation, cache: Path) -> None:
    hub.add(REPO, small_files())
    ours = pull(E2B, Terms())
    offline = huggingface_hub.snapshot_download(REPO, cache_dir=cache, local_files_only=True)
    assert Path(offline) == ours
    shutil.rmtree(cache)
    for name in NEEDED:
        theirs = huggingface_hub.hf_hub_download(REPO, name, cache_dir=cache, endpoint=hub.url)
    requests = len(hub.seen)
    assert find(E2B) == Path(theirs).parent == pull(E2B, Terms())
    assert len(hub.seen) == requests + 1  # the listing: what another program fetched is not fetched again


def test_a_second_pull_fetches_nothing(hub: Imitation) -> None:
    hub.add(REPO, small_files())
    first, heard, requests = pull(E2B, Terms()), Heard(), len(hub.seen)
    assert pull(E2B, Terms(), heard) == first
    assert len(hub.seen) == requests + 1 and heard.plans[0].missing == 0 and heard.moved == 0


def test_a_new_commit_fetches_what_changed_and_keeps_the_old(hub: Imitation, cache: Path) -> None:
    hub.add(REPO, small_files())
    old = pull(E2B, Terms())
    hub.add(REPO, small_files() | {"tokenizer.json": b"{}" * 2000})
    heard = Heard()
    new = pull(E2B, Terms(), heard)
    assert old != new and heard.moved == heard.plans[0].missing == 4000
    assert (
        find(E2B) == new and find(replace(E2B, revision=old.name)) == find(replace(E2B, revision=old.name[:8])) == old
    )
    assert (old / "tokenizer.json").read_bytes() == small_files()["tokenizer.json"]
    assert len(next(iter(huggingface_hub.scan_cache_dir(cache).repos)).revisions) == 2


def test_shards_come_with_their_index(hub: Imitation) -> None:
    files = small_files()
    shards = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 20_000 for i in (1, 2)}
    index = json.dumps({"weight_map": {"a": min(shards), "b": max(shards)}}).encode()
    del files["model.safetensors"]
    hub.add(REPO, files | shards | {"model.safetensors.index.json": index})
    folder = pull(E2B, Terms())
    assert shards.keys() <= {file.name for file in folder.iterdir()}
    assert resolve("e2b").path == folder


def test_an_index_that_names_more_than_there_is(hub: Imitation) -> None:
    files = small_files()
    del files["model.safetensors"]
    hub.add(REPO, files | {"model.safetensors.index.json": b'{"weight_map": {"a": "model-1.safetensors"}}'})
    with pytest.raises(DownloadError, match="lacks files that its own index names"):
        pull(E2B, Terms())
    assert find(E2B) is None


def test_one_gguf_of_many(hub: Imitation) -> None:
    files = {f"gemma-4-E2B-it-{quant}.gguf": quant.encode() * 9999 for quant in ("Q4_0", "Q4_K_M", "Q8_0")}
    hub.add("org/gemma-4-E2B-it-GGUF", files | {"mmproj-Q8_0.gguf": b"tower" * 9999})
    asked = Wanted("org/gemma-4-E2B-it-GGUF", quant="q4_k_m")
    assert find(asked) is None
    path = pull(asked, Terms())
    assert path.name == "gemma-4-E2B-it-Q4_K_M.gguf" and path.read_bytes() == files[path.name]
    assert find(asked) == path and [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(DownloadError, match=r"no .gguf file for 'Q5_0': it has GGUF files, Q4_0, Q4_K_M, Q8_0"):
        pull(replace(asked, quant="Q5_0"), Terms())
    with pytest.raises(DownloadError, match=r"no checkpoint .*: it has GGUF files, .*; ask for one as org/"):
        pull(replace(asked, quant=None), Terms())


def test_pickles_are_never_fetched(hub: Imitation) -> None:
    files = small_files()
    del files["model.safetensors"]
    hub.add(REPO, files)
    with pytest.raises(DownloadError, match="its weights are pickles"):
        pull(E2B, Terms())
    with pytest.raises(DownloadError, match=r"no file .* matches \*\.bin"):
        pull(E2B, Terms(include=("*.bin",)))
    assert not any("pytorch" in seen.path for seen in hub.seen)


def test_include_takes_some_files_and_leaves_no_model(hub: Imitation, cache: Path) -> None:
    hub.add(REPO, small_files())
    folder = pull(E2B, Terms(include=("tokenizer*", "READ*")))
    assert {file.name for file in folder.iterdir()} == {"tokenizer.json", "README.md"}
    assert find(E2B) is None
    whole = pull(E2B, Terms())
    assert whole == folder == find(E2B) and not huggingface_hub.scan_cache_dir(cache).warnings


def test_a_model_that_is_no_gemma_stops_after_its_config(hub: Imitation, cache: Path) -> None:
    files = small_files() | {"config.json": b'{"model_type": "llama"}'}
    hub.add("meta/llama", files)
    with pytest.raises(DownloadError, match=r"cannot run meta/llama: model_type is 'llama', .* --force"):
        pull(Wanted("meta/llama"), Terms())
    assert not hub.fetched(files["model.safetensors"]) and not assert_whole_or_invisible(cache, hub, "meta/llama")
    assert (pull(Wanted("meta/llama"), Terms(force=True)) / "model.safetensors").is_file()


def test_what_does_not_fit_is_refused_with_numbers(hub: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_files(nbytes=3_000_000)
    hub.add(REPO, files)
    with pytest.raises(
        DownloadError, match=r"weights of .* are 3.0 MB, and this machine has 2.0 MB of memory.*--force"
    ):
        pull(E2B, Terms(memory=2_000_000))
    full = shutil.disk_usage("/")._replace(free=65 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(DownloadError, match=r"needs 3.0 MB more in .*, where only 68.2 MB are free: free 2.0 MB there"):
        pull(E2B, Terms(memory=2_000_000, force=True))
    assert not hub.fetched(files["model.safetensors"])


def test_verify_finds_and_mends_what_changed_on_the_disk(hub: Imitation, cache: Path) -> None:
    files = small_files()
    hub.add(REPO, files)
    folder = pull(E2B, Terms())
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(bytes(len(files["model.safetensors"])))
    assert pull(E2B, Terms()) == folder  # sizes are right, and nobody reads gigabytes unasked
    heard = Heard()
    pull(E2B, Terms(verify=True), heard)
    assert blob.read_bytes() == files["model.safetensors"] and len(hub.fetched(files["model.safetensors"])) == 2
    assert len(heard.notes) == 1 and "model.safetensors has wrong bytes here" in heard.notes[0]


def test_it_goes_on_where_another_attempt_ended(hub: Imitation, cache: Path) -> None:
    files = small_files()
    weights = files["model.safetensors"]
    hub.add(REPO, files)
    store = Store(REPO, cache)
    store.blobs.mkdir(parents=True)
    (store.blobs / f"{hub_sum(weights)}.incomplete").write_bytes(weights[:60_000])
    heard = Heard()
    pull(E2B, Terms(), heard)
    assert heard.plans[0].here == 60_000
    assert [(seen.start, seen.sent) for seen in hub.fetched(weights)] == [(60_000, 40_000)]
    assert assert_whole_or_invisible(cache, hub)


def test_two_pulls_at_once_fetch_once(hub: Imitation, cache: Path) -> None:
    files = small_files()
    hub.add(REPO, files)
    hub.faults.bytes_per_s = 300_000
    heard, results = [Heard(), Heard()], []
    threads = [threading.Thread(target=lambda h=h: results.append(pull(E2B, Terms(), h))) for h in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2 and results[0] == results[1]
    assert len(hub.fetched(files["model.safetensors"])) == 1
    assert any("another gemsmith is at work on google/gemma-4-E2B-it" in note for h in heard for note in h.notes)


def test_a_file_that_another_program_is_fetching_is_waited_for(hub: Imitation, cache: Path) -> None:
    files = small_files()
    weights = files["model.safetensors"]
    hub.add(REPO, files)
    store = Store(REPO, cache)
    store.blobs.mkdir(parents=True)
    locks = cache / ".locks" / store.folder.name
    locks.mkdir(parents=True)

    class Other(Heard):
        def note(self, text: str) -> None:
            super().note(text)
            (store.blobs / hub_sum(weights)).write_bytes(weights)
            theirs.release()

    heard = Other()
    theirs = FileLock(locks / f"{hub_sum(weights)}.lock", thread_local=False)
    theirs.acquire()
    pull(E2B, Terms(), heard)
    assert heard.notes == ["another program is fetching model.safetensors; waiting for it"]
    assert not hub.fetched(weights)


def test_a_snapshot_that_another_program_began_is_made_whole_config_last(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, small_files())
    huggingface_hub.hf_hub_download(REPO, "tokenizer.json", cache_dir=cache, endpoint=hub.url)
    order: list[str] = []
    replace_file = __import__("os").replace
    monkeypatch.setattr("os.replace", lambda a, b: (order.append(Path(b).name), replace_file(a, b)))
    pull(E2B, Terms())
    names = [name for name in order if name in NEEDED]
    assert names[-2:] == ["model.safetensors", "config.json"] and "tokenizer.json" not in names
    assert assert_whole_or_invisible(cache, hub)


def test_a_file_system_without_links_gets_copies(hub: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    files = small_files()
    hub.add(REPO, files)
    monkeypatch.setattr("os.symlink", refuse)
    monkeypatch.setattr("os.link", refuse)
    folder = pull(E2B, Terms())
    assert not (folder / "config.json").is_symlink()
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"] and find(E2B) == folder
    requests = len(hub.seen)
    assert pull(E2B, Terms()) == folder and len(hub.seen) == requests + 1


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: Imitation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.add(REPO, small_files())
    pull(E2B, Terms())
    of_hub = [seen.authorization for seen in hub.seen if seen.host.startswith("127.")]
    elsewhere = [seen.authorization for seen in hub.seen if seen.host.startswith("localhost")]
    assert set(of_hub) == {"Bearer hf_secret"} and set(elsewhere) == {None}


def test_a_partial_file_is_cut_to_what_can_be_of_use(tmp_path: Path) -> None:
    file = RemoteFile("x", 4, hub_sum(b"abcd"))
    (tmp_path / "x").write_bytes(b"abcdefgh")
    with Partial(tmp_path / "x", file) as partial:
        assert partial.size == 0
        assert partial.write(b"abcdef") == 4 and partial.missing == 0 and partial.sum == file.sum
    assert (tmp_path / "x").read_bytes() == b"abcd"


def test_offline_asks_nobody(hub: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPO, small_files())
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="nothing is fetched offline"):
        pull(E2B, Terms(connection=Connection(endpoint=hub.url)))
    assert not hub.seen
