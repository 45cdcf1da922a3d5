"""What variables set, which are heeded besides, and what reaches the libraries."""

from __future__ import annotations

import os

import pytest

from gemsmith.cli.settings import environment
from gemsmith.cli.settings.settled import in_force, settle
from gemsmith.cli.settings.table import BY_KEY
from gemsmith.cli.settings.values import from_text


@pytest.mark.parametrize("text, value", [("1", True), ("On", True), ("yes", True), ("FALSE", False), (" 0 ", False)])
def test_yes_and_no_have_several_words(text, value):
    assert from_text(BY_KEY["think"], text) is value


@pytest.mark.parametrize(
    "name, text", [("THINK", "maybe"), ("TOP_K", "many"), ("TEMPERATURE", "inf"), ("DTYPE", "fp8")]
)
def test_a_bad_variable_is_named(place, monkeypatch, name, text):
    monkeypatch.setenv(f"GEMSMITH_{name}", text)
    assert place.problems()[0].startswith(f"GEMSMITH_{name} must be ")
    assert f"found {text!r}; correct it, or unset it" in place.problems()[0]


def test_a_variable_in_another_encoding_is_read_as_utf8(place, monkeypatch):
    monkeypatch.setenv("GEMSMITH_SYSTEM", "é".encode().decode("ascii", "surrogateescape"))
    assert place.value("system") == "é"


def test_offline_as_the_hub_knows_it_is_offline_here(place, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    place.user_file("offline = false")
    assert settle("run", {}).source("offline") == "HF_HUB_OFFLINE"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert place.value("offline") is False


def test_no_color_yields_to_a_persons_own_file(place, monkeypatch):
    """As no-color.org asks."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert place.value("color") == "never"
    place.user_file("color = 'always'")
    assert place.value("color") == "always"


def test_what_is_settled_reaches_libraries_while_a_command_runs(place, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    place.user_file("offline = true\ncolor = 'never'")
    with in_force(settle("run", {})):
        assert (os.environ["HF_HUB_OFFLINE"], os.environ["NO_COLOR"]) == ("1", "1")
        assert "FORCE_COLOR" not in os.environ
    assert "HF_HUB_OFFLINE" not in os.environ and "NO_COLOR" not in os.environ
    assert os.environ["FORCE_COLOR"] == "1"
    with in_force(settle("run", {"offline": False, "color": "always"})):
        assert "HF_HUB_OFFLINE" not in os.environ and os.environ["FORCE_COLOR"] == "1"


def test_unknown_variables_come_with_the_nearest_known():
    environ = {
        "GEMSMITH_TEMPRATURE": "1",
        "GEMSMITH_XYZZY": "1",
        "GEMSMITH_HOME": "/x",
        "GEMSMITH_TOP_K": "1",
        "X": "1",
    }
    assert environment.unknown_variables(environ) == {
        "GEMSMITH_TEMPRATURE": "GEMSMITH_TEMPERATURE",
        "GEMSMITH_XYZZY": "",
    }


@pytest.mark.parametrize(
    "value, shown",
    [
        ("https://me:sesame@host/x?key=sesame", "https://(not shown)@host/x"),
        ("http://me:a@sesame@host:1", "http://(not shown)@host:1"),
        ("https://me:a/sesame@host", "https://(not shown)@host"),
        ("me:sesame@host:1", "(not shown)@host:1"),
        ("//me:sesame@host", "//(not shown)@host"),
        ("https://host:1/x", "https://host:1/x"),
        *((path, path) for path in ("/models/a@b", "~/a@b", "./a@b", "C:\\a@b")),
    ],
)
def test_an_address_is_shown_without_its_secrets(value, shown):
    assert environment.without_secrets(value) == shown
