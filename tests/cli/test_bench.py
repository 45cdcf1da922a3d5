"""`gemsmith bench`: a table or JSON, from an engine whose speed is known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import gemsmith.engine
from gemsmith.cli import bench
from gemsmith.config import preset
from gemsmith.errors import GemsmithError
from gemsmith.kernels import limits
from gemsmith.kernels.limits import Limits
from tests.runtime.test_speed import Clockwork

KEYS = ("prompt_tokens_per_s", "generation_tokens_per_s", "time_to_first_token_s", "load_s", "peak_rss_bytes")


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """What `load` was asked for."""
    asked = []

    def load(source, **options):
        asked.append((source, options))
        most = options["max_context"]
        return SimpleNamespace(runtime=Clockwork(), config=preset("tiny-random-e2b"), max_context=min(most, 2048))

    monkeypatch.setattr(gemsmith.engine, "load", load)
    monkeypatch.setattr(limits, "limits_apart", lambda threads, nbytes: Limits(2e9, 3e12, "avx2"))
    return asked


def test_json_has_what_programs_look_for(gemsmith_, loaded):
    line = ("bench", "pebble", "--prompt", "30", "--generate", "4", "--depth", "8", "--threads", "3", "--json")
    ended = gemsmith_(*line)
    assert (ended.code, ended.err) == (0, "")
    facts = json.loads(ended.out)
    assert all(facts[key] > 0 for key in (*KEYS, "bandwidth_share", "arithmetic_share"))
    assert facts["settings"] | {"prompt": 30, "generate": 4, "depth": 8, "threads": 3} == facts["settings"]
    assert facts["limits"] == {"read_bytes_per_s": 2e9, "int8_ops_per_s": 3e12, "int8_instruction": "avx2"}
    assert len(facts["repeats"]["generation_tokens_per_s"]) == 3
    assert {"gemsmith", "python", "numpy"} <= facts["versions"].keys() and facts["machine"]["processor"]
    assert loaded == [("pebble", {"threads": 3, "backend": None, "max_context": 38})]


def test_a_table_for_people(gemsmith_):
    ended = gemsmith_("bench", "pebble", "--prompt", "30", "--generate", "1", "--depth", "1000")
    lines = ended.out.splitlines()
    assert ended.code == 0 and max(map(len, lines)) <= 80
    assert lines[0].startswith("pebble on clockwork, ")
    named = "\n".join(lines)
    assert "read 30 tokens behind 1,000 others, tokens/s" in named and "write 1 token behind" in named
    assert "plain reading, GB/s" in named and "writing used of that" in named


def test_what_is_not_timed_is_null(gemsmith_):
    facts = json.loads(gemsmith_("bench", "pebble", "--prompt", "0", "--json").out)
    assert facts["prompt_tokens_per_s"] is facts["time_to_first_token_s"] is facts["arithmetic_share"] is None
    assert "read " not in gemsmith_("bench", "pebble", "--prompt", "0").out.replace("plain reading", "")


def test_limits_that_cannot_be_measured_are_told_once_and_cost_nothing_else(gemsmith_, monkeypatch):
    def refused(threads, nbytes):
        raise GemsmithError("no native engine here")

    monkeypatch.setattr(limits, "limits_apart", refused)
    ended = gemsmith_("bench", "pebble", "--json")
    facts = json.loads(ended.out)
    assert ended.code == 0 and ended.err.count("no native engine here") == 1
    assert facts["bandwidth_share"] is None and facts["generation_tokens_per_s"] > 0


def test_the_context_asked_for_must_hold_it_all(gemsmith_):
    ended = gemsmith_("bench", "pebble", "--depth", "8000")
    assert ended.code == 1 and "8512 tokens but this model's context is 2048" in ended.err


@pytest.mark.parametrize(
    "flags", [("--prompt", "-1"), ("--repeat", "0"), ("--prompt", "0", "--generate", "0"), ("--depth", "-5")]
)
def test_nothing_to_do_is_a_usage_error(gemsmith_, flags, loaded):
    assert gemsmith_("bench", "pebble", *flags).code == 2
    assert not loaded


def test_counts_are_words():
    assert [bench.counted(n, "token") for n in (1, 2, 5000)] == ["1 token", "2 tokens", "5,000 tokens"]


@pytest.mark.long
def test_a_real_model(gemsmith_, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.undo()
    line = ("bench", "tiny-random-e2b", "--backend", "torch", "--threads", "1", "--prompt", "20", "--repeat", "1")
    facts = json.loads(gemsmith_(*line, "--generate", "3", "--depth", "20", "--json").out)
    assert all(facts[key] > 0 for key in KEYS) and facts["versions"]["torch"]
