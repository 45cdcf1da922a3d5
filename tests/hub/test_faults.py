"""Pulling from a hub, over a network and onto a disk that do everything wrong.

After each fault: one clear error or a whole model, nothing half-written visible to any program, and a pull that follows
goes on from what has arrived.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import DownloadError
from gemsmith.hub.cache import find
from gemsmith.hub.connection import Connection, Patience
from gemsmith.hub.known import Wanted
from gemsmith.hub.partial import Partial
from gemsmith.hub.pull import Terms, pull
from gemsmith.hub.transfer import Transfer
from tests.hub.conftest import REPO, assert_whole_or_invisible, small_files
from tests.hub.imitation import Faults, Imitation, hub_sum
from tests.hub.test_pull import Heard

pytestmark = pytest.mark.slow  # `long` beside it wins: both runs choose by "long"

E2B = Wanted(REPO)
FILES = small_files()
WEIGHTS = FILES["model.safetensors"]


@pytest.fixture(autouse=True)
def repo(hub: Imitation) -> None:
    hub.add(REPO, FILES)


def fails(hub: Imitation, cache: Path, match: str, terms: Terms | None = None) -> str:
    """The pull ends with this one line, and nothing can be seen."""
    with pytest.raises(DownloadError, match=match) as caught:
        pull(E2B, terms or Terms())
    assert not assert_whole_or_invisible(cache, hub) and find(E2B) is None
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    return str(caught.value)


def mends(hub: Imitation, cache: Path) -> None:
    """The same command, once the fault is gone, completes the model."""
    hub.faults = Faults()
    pull(E2B, Terms())
    assert assert_whole_or_invisible(cache, hub)


def partial(cache: Path) -> Path:
    return cache / "models--google--gemma-4-E2B-it" / "blobs" / f"{hub_sum(WEIGHTS)}.incomplete"


@pytest.mark.long
@pytest.mark.parametrize("start", range(0, 100, 10))
def test_a_connection_cut_at_each_percent(hub: Imitation, cache: Path, start: int) -> None:
    for percent in range(start, start + 10):
        shutil.rmtree(cache, ignore_errors=True)
        position = len(WEIGHTS) * percent // 100
        hub.faults = Faults(cuts=[position])
        hub.forget()
        pull(E2B, Terms())
        assert [seen.start for seen in hub.fetched(WEIGHTS)] == [0, position]
        assert assert_whole_or_invisible(cache, hub)


def test_a_connection_cut_at_every_percent_in_one_pull(hub: Imitation, cache: Path) -> None:
    cuts = [len(WEIGHTS) * percent // 100 for percent in range(1, 100)]
    hub.faults = Faults(cuts=list(cuts))
    pull(E2B, Terms())
    assert [seen.start for seen in hub.fetched(WEIGHTS)] == [0, *cuts]
    assert sum(seen.sent for seen in hub.fetched(WEIGHTS)) == len(WEIGHTS)  # not one byte twice
    assert assert_whole_or_invisible(cache, hub)


def test_a_connection_that_brings_nothing_is_given_up(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(cuts=[60_000] * 6)
    fails(hub, cache, r"ended .* in the middle, in 5 attempts.*60 of 100 kB of model.safetensors are kept")
    assert partial(cache).read_bytes() == WEIGHTS[:60_000]
    hub.forget()
    mends(hub, cache)
    assert [(seen.start, seen.sent) for seen in hub.fetched(WEIGHTS)] == [(60_000, 40_000)]


def test_wrong_bytes_of_the_right_size_are_fetched_again_once(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(corrupt=1)
    heard = Heard()
    pull(E2B, Terms(), heard)
    assert [seen.start for seen in hub.fetched(WEIGHTS)] == [0, 0]
    assert len(heard.notes) == 1 and "came with wrong bytes" in heard.notes[0]
    assert heard.moved == heard.plans[0].nbytes  # the bar went back, and came again
    assert assert_whole_or_invisible(cache, hub)


def test_wrong_bytes_twice_are_an_error_with_both_sums(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(corrupt=9)
    message = fails(hub, cache, "model.safetensors of google/gemma-4-E2B-it came with wrong bytes twice")
    wrong = bytearray(WEIGHTS)
    wrong[len(wrong) // 2] ^= 1
    assert hub_sum(WEIGHTS) in message and hub_sum(bytes(wrong)) in message
    assert partial(cache).stat().st_size == 0 and len(hub.fetched(WEIGHTS)) == 2
    mends(hub, cache)


def test_a_wrong_beginning_on_the_disk_is_thrown_away(hub: Imitation, cache: Path) -> None:
    partial(cache).parent.mkdir(parents=True)
    partial(cache).write_bytes(bytes(50_000))
    heard = Heard()
    pull(E2B, Terms(), heard)
    assert [seen.start for seen in hub.fetched(WEIGHTS)] == [50_000, 0]
    assert assert_whole_or_invisible(cache, hub)


def test_small_files_have_their_sums_checked_too(hub: Imitation, cache: Path) -> None:
    true = hub.repos[REPO]["tokenizer.json"]

    def lie(found: dict[str, Any]) -> dict[str, Any]:
        hub.repos[REPO]["tokenizer.json"] = true.replace(b"0", b"1")  # after its sum was listed
        return found

    hub.faults = Faults(listing=lie)
    with pytest.raises(DownloadError, match=r"tokenizer.json .* wrong bytes twice .* its sum should be [0-9a-f]{40} "):
        pull(E2B, Terms())
    assert find(E2B) is None
    hub.repos[REPO]["tokenizer.json"] = true
    mends(hub, cache)


def test_a_silent_server_is_left_after_the_timeout(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "0.2")
    hub.faults = Faults(stall_at=30_000)
    fails(hub, cache, "was silent for 0.2 s, in 5 attempts that brought next to nothing; 30 of 100 kB")
    hub.faults.stall_s = 0
    assert len(hub.fetched(WEIGHTS)) <= 5
    mends(hub, cache)


def test_a_server_that_drips_is_left(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(drip=True)
    patience = Patience(attempts=2, window_s=0.3, least_bytes=4096)
    fails(hub, cache, r"sent only \d+ bytes in 0 s, in 2 attempts", Terms(connection=Connection(patience=patience)))
    hub.faults.drip = False
    mends(hub, cache)


def test_redirects_in_a_circle(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(loop=True)
    fails(hub, cache, "sends requests round in a circle")
    mends(hub, cache)


def test_redirects_to_nowhere(hub: Imitation, cache: Path) -> None:
    hub.cdn = "gopher://somewhere"
    fails(hub, cache, "did it redirect astray")
    hub.cdn = hub.url
    mends(hub, cache)


def test_a_range_that_is_ignored(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(ignore_range=True, cuts=[70_000])
    pull(E2B, Terms())
    assert [(seen.start, seen.sent) for seen in hub.fetched(WEIGHTS)] == [(0, 70_000), (0, 100_000)]
    assert assert_whole_or_invisible(cache, hub)


def test_a_range_that_is_another(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(shift_range=-10, cuts=[70_000])
    heard = Heard()
    pull(E2B, Terms(), heard)
    assert [seen.start for seen in hub.fetched(WEIGHTS)] == [0, 70_000, 0]
    assert heard.moved == heard.plans[0].nbytes and assert_whole_or_invisible(cache, hub)


def test_another_file_between_two_attempts(hub: Imitation, cache: Path) -> None:
    class Meanwhile(Heard):
        def note(self, text: str) -> None:
            super().note(text)
            hub.faults.linked_etag = "f" * 64

    hub.faults = Faults(cuts=[50_000])
    heard = Meanwhile()
    with pytest.raises(DownloadError, match=r"has another model.safetensors than it lists \(sum ffffffffffff"):
        pull(E2B, Terms(), heard)
    assert len(heard.notes) == 4 and not assert_whole_or_invisible(cache, hub)
    mends(hub, cache)


def test_a_size_that_is_not_the_listed_one(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(longer=b"more")
    fails(hub, cache, "model.safetensors has 100004 bytes instead of the 100000 that the Hub lists")
    mends(hub, cache)


def test_a_packed_file_is_unpacked(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(gzipped=True)
    pull(E2B, Terms())
    assert assert_whole_or_invisible(cache, hub)


def test_a_packed_part_of_a_file_is_not_mistaken_for_the_rest(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(gzipped=True, cuts=[40_000])
    pull(E2B, Terms())
    assert [seen.start for seen in hub.fetched(WEIGHTS)][-1] == 0
    assert assert_whole_or_invisible(cache, hub)


@pytest.mark.parametrize("faults", [Faults(html=True), Faults(file_html=True)])
def test_a_captive_portal(hub: Imitation, cache: Path, faults: Faults) -> None:
    hub.faults = faults
    fails(hub, cache, "answered with a web page instead of google/gemma-4-E2B-it: this network may want you to sign in")
    mends(hub, cache)


@pytest.mark.parametrize(
    "status, code, said",
    [
        (
            403,
            "GatedRepo",
            r"accepted its licence \(status 403\): do that on http.*/google/gemma-4-E2B-it, .* HF_TOKEN",
        ),
        (401, "GatedRepo", "only for those who accepted its licence"),
        (403, "", "only for those who accepted its licence"),
        (401, "RepoNotFound", "has no model 'google/gemma-4-E2B-it', or only for some"),
        (404, "RepoNotFound", "has no model 'google/gemma-4-E2B-it'"),
        (404, "RevisionNotFound", "has no revision None; its branches"),
        (400, "", r"refused google/gemma-4-E2B-it \(status 400\)"),
    ],
)
def test_refusals(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, said: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_token")
    hub.faults = Faults(api_statuses=[status], error_code=code)
    assert "hf_secret" not in fails(hub, cache, said)
    assert len(hub.seen) == 1  # nobody asks twice
    mends(hub, cache)


def test_a_name_the_hub_does_not_have_is_corrected(hub: Imitation) -> None:
    with pytest.raises(
        DownloadError, match=r"has no model 'google/gemma-4-E2B-chat'.*did you mean 'google/gemma-4-E2B-it'"
    ):
        pull(Wanted("google/gemma-4-E2B-chat"), Terms())
    with pytest.raises(DownloadError, match="has no revision 'v2'"):
        pull(replace(E2B, revision="v2"), Terms())


@pytest.mark.parametrize("statuses", [[500, 503], [429, 408], [502, 504]])
def test_passing_trouble_is_waited_out(hub: Imitation, cache: Path, statuses: list[int]) -> None:
    hub.faults = Faults(statuses=list(statuses), api_statuses=list(statuses), retry_after="0")
    pull(E2B, Terms())
    assert assert_whole_or_invisible(cache, hub)


def test_lasting_trouble_is_not(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(api_statuses=[500] * 99)
    fails(hub, cache, r"has trouble \(status 500\), in 3 attempts; is this machine online\? Nothing was fetched")
    assert len(hub.seen) == 3
    hub.faults = Faults(statuses=[500] * 99)
    hub.forget()
    fails(hub, cache, r"has trouble \(status 500\), in 5 attempts")
    assert len(hub.fetched(WEIGHTS)) == 5
    mends(hub, cache)


def test_the_pause_a_server_asks_for_is_kept_within_bounds(hub: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("gemsmith.hub.pull.Transfer", lambda *a: Transfer(*a, sleep=pauses.append))
    hub.faults = Faults(statuses=[429], retry_after="7")
    pull(E2B, Terms())
    hub.add(REPO, FILES | {"model.safetensors": bytes(20_000)})
    hub.faults = Faults(statuses=[429], retry_after="86400")
    pull(E2B, Terms())
    assert pauses == [7.0, 60.0]


def test_a_hub_that_is_not_there(hub: Imitation, cache: Path) -> None:
    terms = Terms(connection=Connection(endpoint="http://127.0.0.1:1"))
    fails(
        hub, cache, r"cannot reach 127.0.0.1:1 \(Connection refused\), in 3 attempts; is this machine online\?", terms
    )


def test_a_hub_that_hangs_up(hub: Imitation, cache: Path) -> None:
    hub.faults = Faults(refuse=True)
    fails(hub, cache, "ended the connection in the middle, in 3 attempts")
    mends(hub, cache)


def test_an_endpoint_that_is_none(hub: Imitation, cache: Path) -> None:
    for endpoint in ("huggingface.co", "ftp://x", "http://a\0b"):
        fails(hub, cache, "is HF_ENDPOINT or HF_TOKEN mistyped", Terms(connection=Connection(endpoint=endpoint)))


def test_a_token_that_is_none_is_not_told(hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sëcret")
    assert "hf_s" not in fails(hub, cache, "mistyped")


@pytest.mark.parametrize(
    "lie",
    [
        lambda found: b"not json",
        lambda found: b"[" * 100_000,
        lambda found: [],
        lambda found: found | {"sha": "../../x"},
        lambda found: found | {"siblings": None},
        lambda found: found | {"siblings": [{"rfilename": "config.json"}]},
        lambda found: found | {"siblings": [{"rfilename": "../config.json", "size": 1, "blobId": "0" * 40}]},
        lambda found: found | {"siblings": [{"rfilename": "/etc/x.json", "size": 1, "blobId": "0" * 40}]},
        lambda found: found | {"siblings": [{"rfilename": "a\\b", "size": 1, "blobId": "0" * 40}]},
        lambda found: found | {"siblings": [{"rfilename": "config.json", "size": -1, "blobId": "0" * 40}]},
        lambda found: found | {"siblings": [{"rfilename": "config.json", "size": 1, "blobId": "../../../x"}]},
        lambda found: found | {"siblings": [{"rfilename": "x", "size": 1, "blobId": "0" * 40}] * 10_001},
    ],
)
def test_a_listing_that_cannot_be_true(hub: Imitation, cache: Path, lie: Callable[[Any], Any]) -> None:
    hub.faults = Faults(listing=lie)
    fails(hub, cache, r"list of files of google/gemma-4-E2B-it")
    assert not cache.exists()
    mends(hub, cache)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_in_the_middle(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = os.write

    def full(fd: int, piece: Any) -> int:
        room = 50_000 - os.fstat(fd).st_size
        if room <= 0:
            raise OSError(number, os.strerror(number))
        return write(fd, piece[: min(room, 1000)])  # a short write, too

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        fails(hub, cache, "the disk is full, or a limit on it is reached .* what has arrived is kept")
    assert partial(cache).stat().st_size == 50_000
    hub.forget()
    mends(hub, cache)
    assert [(seen.start, seen.sent) for seen in hub.fetched(WEIGHTS)] == [(50_000, 50_000)]


@pytest.mark.long
@pytest.mark.parametrize("name", ["replace", "mkdir", "fsync", "rename", "ftruncate"])
def test_each_step_on_the_disk_may_fail(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every call of that function fails once; what follows mends it."""
    real, calls = getattr(os, name), 0
    for failing in range(20):
        calls = 0

        def fail(*args: Any, failing: int = failing, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(args[0]))
            return real(*args, **options)

        shutil.rmtree(cache, ignore_errors=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            hub.faults = Faults(shift_range=-10, cuts=[70_000])  # so that files are cut as well
            try:
                pull(E2B, Terms())
            except DownloadError as error:
                assert "cannot write into" in str(error) and "Input/output error" in str(error)
        assert_whole_or_invisible(cache, hub)
        if calls <= failing:
            assert failing, f"{name} is never called"
            return
        mends(hub, cache)


def test_a_cache_that_cannot_be_written(hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parent.joinpath("file").write_text("")
    monkeypatch.setenv("HF_HUB_CACHE", str(cache.parent / "file" / "cache"))
    with pytest.raises(DownloadError, match=r"cannot write into .*: Not a directory; set HF_HUB_CACHE"):
        pull(E2B, Terms())


def test_a_whole_model_in_a_read_only_cache_is_found(
    hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pull(E2B, Terms())

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "replace", "rename", "unlink", "symlink"):
        monkeypatch.setattr(os, name, refuse)
    assert pull(E2B, Terms()) == folder
    hub.add(REPO, FILES | {"tokenizer.json": b"new"})
    with pytest.raises(DownloadError, match="Read-only file system; set HF_HUB_CACHE"):
        pull(E2B, Terms())


def test_ctrl_c_in_the_middle_keeps_what_arrived(hub: Imitation, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Partial.write

    def interrupted(self: Partial, piece: bytes) -> int:
        if self.size >= 40_000:
            raise KeyboardInterrupt
        return write(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(Partial, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pull(E2B, Terms())
    assert not assert_whole_or_invisible(cache, hub)
    kept = partial(cache).stat().st_size
    assert kept >= 40_000
    hub.forget()
    mends(hub, cache)
    assert [seen.start for seen in hub.fetched(WEIGHTS)] == [kept]


def test_no_thread_is_left_behind(hub: Imitation) -> None:
    before = threading.active_count()
    pull(E2B, Terms())
    assert threading.active_count() <= before + 2  # connections of the imitation itself
