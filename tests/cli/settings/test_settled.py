"""Who wins over whom, and that everything can be set everywhere."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.cli.main import COMMANDS
from gemsmith.cli.settings.settled import settle
from gemsmith.cli.settings.table import BY_KEY, SETTINGS
from gemsmith.cli.settings.values import checked
from gemsmith.errors import SettingError


def test_flags_over_environment_over_project_over_user_over_default(place, monkeypatch):
    """Take the strongest away, one after the other."""
    place.user_file("top_k = 1\n[run]\ntop_k = 2\n")
    mine = place.project_file("top_k = 3\n[run]\ntop_k = 4\n")
    monkeypatch.setenv("GEMSMITH_TOP_K", "5")
    settled = settle("run", {"top_k": 6})
    assert [claim.value for claim in settled.of("top_k")] == [6, 5, 4, 3, 2, 1]
    assert [claim.kind for claim in settled.of("top_k")] == ["flag", "environment"] + 2 * ["project file"] + 2 * [
        "user file"
    ]
    assert (settled.value("top_k"), settled.source("top_k")) == (6, "--top-k")
    assert settle("run", {}).source("top_k") == "GEMSMITH_TOP_K"
    monkeypatch.setenv("GEMSMITH_TOP_K", "")
    assert settle("run", {}).source("top_k") == f"{mine}: run.top_k"
    mine.unlink()
    assert place.value("top_k") == 2
    assert settle("eval", {}).value("top_k") == 1
    place.user_file()
    assert (place.value("top_k"), settle("run", {}).source("top_k")) == (None, "default")


def test_a_commands_table_wins_wherever_it_stands_and_for_that_command_alone(place):
    place.project_file('[run]\nsystem = "r"\n[eval]\nsystem = "e"\n')
    place.user_file('system = "all"\n')
    assert [settle(name, {}).value("system") for name in ("run", "eval", "show")] == ["r", "e", "all"]


def test_every_setting_can_be_set_in_every_way(place, monkeypatch):
    examples = {bool: True, int: 5, float: 0.5, tuple: ["x"], str: "x"}
    for setting in SETTINGS:
        value = setting.choices[-1] if setting.choices else examples[setting.kind]
        place.user_file(f"{setting.key} = {json.dumps(value)}\n")
        assert (place.value(setting.key), place.problems()) == (value, [])
        place.user_file()
        text = value[0] if setting.kind is tuple else "on" if value is True else str(value)
        with monkeypatch.context() as patch:
            patch.setenv(setting.variable, text)
            assert (place.value(setting.key), place.problems()) == (value, [])


def test_ranges_and_choices_are_the_engines():
    """What the table lets through the engine takes, and what it refuses the engine refuses."""
    from gemsmith.engine.sampling import Sampling
    from gemsmith.errors import SamplingError

    numbers = [setting for setting in SETTINGS if setting.kind in (int, float) and hasattr(Sampling, setting.key)]
    assert len(numbers) == 9
    for setting in numbers:
        for edge in (setting.low, setting.high):
            assert getattr(Sampling.of({setting.key: checked(setting, edge)}), setting.key) == edge
        for outside in (setting.low - 1, setting.high + 1):
            with pytest.raises(SettingError):
                checked(setting, outside)
            with pytest.raises(SamplingError):
                Sampling.of({setting.key: outside})


def test_no_command_is_named_like_a_setting():
    """Else `[name]` in a file would be a table and a value."""
    assert not COMMANDS.keys() & BY_KEY.keys()


keys = st.sampled_from([*BY_KEY, *COMMANDS, "models", "Top_K", "top-k", ""]) | st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def toml(value: object) -> str:
    """TOML for a value; what TOML lacks (null) comes out broken, as it may in a file."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(text := json.dumps(value), text)


documents = (
    st.dictionaries(keys, values, max_size=4).map(
        lambda each: "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in each.items()).encode()
    )
    | st.text(alphabet=string.printable, max_size=60).map(str.encode)
    | st.binary(max_size=60)
)
variables = st.dictionaries(
    st.sampled_from([setting.variable for setting in SETTINGS] + ["GEMSMITH_X", "NO_COLOR", "HF_HUB_OFFLINE"]),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
    | scalars.map(str).filter(lambda t: "\0" not in t),
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mine=documents, theirs=documents, environ=variables)
def test_whatever_is_set_there_is_an_answer_or_a_reason(place, gemsmith_, monkeypatch, mine, theirs, environ):
    """Never a traceback: exit code 0, or 1 and one reason on stderr."""
    place.user_file().write_bytes(mine)
    place.project_file().write_bytes(theirs)
    with monkeypatch.context() as patch:
        for name, text in environ.items():
            patch.setenv(name, text)
        ended = gemsmith_("show", "tiny-random-e2b")
        assert (ended.code, "gemsmith: error: " in ended.err) in ((0, False), (1, True))
        assert bool(ended.out) == (ended.code == 0)
        listing = gemsmith_("show", "--config", "--json")
        assert listing.code == ended.code
        assert bool(json.loads(listing.out)["problems"]) == (listing.code == 1)


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from([*BY_KEY]), scalars | st.lists(scalars, max_size=3), max_size=5))
def test_what_is_settled_is_what_the_table_allows(place, values):
    """A value that comes through is of its setting's type, within its range; all others are told."""
    lines = [f"{key} = {toml(value)}" for key, value in values.items() if value is not None]
    place.user_file("\n".join(lines))
    settled = settle("run", {})
    for claim in settled.claims:
        setting = BY_KEY[claim.key]
        assert checked(setting, claim.value) == claim.value
        assert type(claim.value) is (list if setting.kind is tuple else setting.kind)
    if not any("not TOML" in str(problem) for problem in settled.problems):
        assert len(settled.problems) + len(settled.claims) == len(lines)
