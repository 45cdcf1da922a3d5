"""What a person is told about a hub that cannot be asked, or refuses: nothing secret, and something to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gemsmith.errors import DownloadError
from gemsmith.hub.connection import Connection, Passing, is_number, public, refusal
from gemsmith.hub.known import Wanted, did_you_mean

BAD = ("http://[::1", "http://me:secret@[::1", "http://me:secret@localhost:99999", "http://localhost:port")


@pytest.mark.parametrize("endpoint", BAD)
def test_an_address_that_is_none_is_a_download_error(endpoint: str, cache: Path) -> None:
    with pytest.raises(DownloadError, match="is HF_ENDPOINT or HF_TOKEN mistyped") as caught:
        Connection(endpoint=endpoint).listing(Wanted("x/y"))
    assert "secret" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", BAD[1:3])
def test_so_it_is_where_huggingface_hub_reads_it_too(endpoint: str, cache: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    ended = subprocess.run([sys.executable, "-m", "gemsmith", "pull", "x/y"], capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stderr.startswith("gemsmith: error: cannot ask ")
    assert len(ended.stderr.splitlines()) == 1 and "secret" not in ended.stderr


@pytest.mark.parametrize("after, pause", [("²", 0.0), ("٣", 0.0), ("9" * 5000, 0.0), ("", 0.0), ("7", 7.0)])
def test_retry_after_is_a_plain_number_or_nothing(after: str, pause: float) -> None:
    response = SimpleNamespace(status_code=429, url=SimpleNamespace(host="h"), headers={"Retry-After": after})
    with pytest.raises(Passing) as caught:
        Connection(endpoint="http://h")._check(response, Wanted("x/y"))
    assert caught.value.pause_s == pause and is_number(after) == bool(pause)


def test_what_was_asked_for_is_not_offered_instead() -> None:
    told = refusal(401, {}, "h", "https://h", Wanted("google/gemma-4-E2B-it"))
    assert "did you mean" not in str(told) and "set HF_TOKEN" in str(told)
    assert did_you_mean("Google/Gemma-4-e2b-IT") == did_you_mean("E2B") == ""
    assert did_you_mean("google/gemma-4-E2B-chat") == "; did you mean 'google/gemma-4-E2B-it'?"


def test_messages_hold_no_password() -> None:
    endpoint = "https://me:se/cr@et@hub.example/mirror"
    assert public(endpoint) == "https://hub.example/mirror"
    assert public("me:secret@host") == "host" and public("https://h") == "https://h"
    assert Connection(endpoint="me:secret@host").host == "host"
    response = SimpleNamespace(status_code=403, url=SimpleNamespace(host="hub.example"), headers={})
    with pytest.raises(DownloadError, match=r"do that on https://hub\.example/mirror/x/y") as caught:
        Connection(endpoint=endpoint)._check(response, Wanted("x/y"))
    assert "cr@" not in str(caught.value) and "me:" not in str(caught.value)
