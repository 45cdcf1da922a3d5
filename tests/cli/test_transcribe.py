"""`gemsmith transcribe`: words as they are heard, segments with times, and which model hears."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

import gemsmith.engine
from gemsmith.chat.values import Event, Message, Text, Usage
from gemsmith.cli import hearing
from gemsmith.config import preset
from gemsmith.engine.transcribe import prompt_for
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.tokenizer import load_tokenizer

from .media import write_picture, write_sound

pytest.importorskip("av")
pytest.importorskip("torch")
pytestmark = pytest.mark.slow


@dataclass
class Ears:
    """Hears "word 1.", "word 2." and so on; translates to capitals."""

    name = "ears"
    config = preset("tiny-random-e2b")
    tokenizer = load_tokenizer(DEFAULT_TOKENIZER)
    finish: str = "stop"
    heard: list[tuple[float, str]] = field(default_factory=list)

    def stream(self, message, *, media, **sampling):
        sound, question = message.parts
        asked = question.text
        self.heard.append((len(sound.source) / 16000, asked))
        words = f"word {len(self.heard)}."
        told = f"{words}\nEnglish: {words.upper()}" if "translate it into English" in asked else words
        for piece in told.split(" "):
            yield Event("text", f"{piece} ")
        yield Event("done", message=Message("assistant", (Text(told),), Usage(100, 3, audio_tokens=90), self.finish))


@pytest.fixture
def ears(monkeypatch):
    model = Ears()
    monkeypatch.setattr(gemsmith.engine, "load", lambda source, **options: model, raising=False)
    return model


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    write_sound(folder / "short.wav", 2)
    write_sound(folder / "long.wav", 70)
    write_picture(folder / "room.png")
    return folder


def test_words_are_printed_as_they_are_heard(gemsmith_, ears, sounds):
    ended = gemsmith_("transcribe", f"{sounds}/short.wav", "--model", "ears")
    assert (ended.code, ended.out, ended.err) == (0, "word 1.\n", "")
    assert ears.heard == [(2.0, prompt_for(None, None))]


def test_a_long_sound_is_heard_in_pieces(gemsmith_, ears, sounds):
    ended = gemsmith_("transcribe", f"{sounds}/long.wav", "--model", "ears", "--language", "German")
    assert (ended.code, ended.out) == (0, "word 1. word 2. word 3.\n")
    assert ended.err == "(1 min 10 s of sound, heard in 3 pieces)\n"
    assert sum(seconds for seconds, _ in ears.heard) == 70 and max(seconds for seconds, _ in ears.heard) <= 30
    assert all(asked == prompt_for("German", None) for _, asked in ears.heard)


def test_translations_stand_behind_what_was_said(gemsmith_, ears, sounds):
    ended = gemsmith_("transcribe", f"{sounds}/long.wav", "--model", "ears", "--to", "English")
    assert ended.out == "word 1. word 2. word 3.\nEnglish: WORD 1. WORD 2. WORD 3.\n"


def test_segments_have_times(gemsmith_, ears, sounds):
    ended = gemsmith_("transcribe", f"{sounds}/long.wav", "--model", "ears", "--to", "English", "--json")
    *segments, done = map(json.loads, ended.out.splitlines())
    assert [(each["text"], each["translation"]) for each in segments] == [
        (f"word {i}.", f"WORD {i}.") for i in (1, 2, 3)
    ]
    assert segments[0]["start"] == 0 and segments[-1]["end"] == 70
    assert [each["end"] for each in segments[:-1]] == [each["start"] for each in segments[1:]]
    assert done["kind"] == "done" and done["seconds"] == 70 and done["segments"] == 3
    assert (done["text"], done["translation"]) == ("word 1. word 2. word 3.", "WORD 1. WORD 2. WORD 3.")
    assert done["usage"] == {"prompt_tokens": 300, "completion_tokens": 9, "audio_tokens": 270}


def test_a_segment_that_is_cut_is_told_and_the_exit_code_says_so(gemsmith_, ears, sounds):
    ears.finish = "length"
    ended = gemsmith_("transcribe", f"{sounds}/short.wav", "--model", "ears")
    assert (ended.code, ended.out) == (1, "word 1.\n") and "(cut short: 1 of 1 segment; out of tokens" in ended.err


def test_where_nothing_is_redrawn_progress_comes_line_by_line(gemsmith_, ears, sounds, monkeypatch):
    monkeypatch.setattr(hearing, "INTERVAL_S", 0.0)
    ended = gemsmith_("transcribe", f"{sounds}/long.wav", "--model", "ears")
    assert "(heard 0 s of 1 min 10 s)\n" in ended.err and ended.err.count("(heard") == 3


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["none.wav"], 1, "none.wav: No such file or directory"),
        (["room.png"], 1, "room.png: that is a picture, and nothing is said in it"),
        (["https://example.org/a.mp3"], 1, "addresses are fetched only with --allow-urls"),
        (["short.wav", "--to", ""], 1, "a language is named by a word such as German, found ''"),
        (["short.wav"], 1, "no model that hears is on this machine; fetch the smallest with: gemsmith pull e2b"),
        ([], 2, "FILE"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(gemsmith_, monkeypatch, sounds, arguments, code, says):
    monkeypatch.chdir(sounds)
    monkeypatch.setenv("HF_HOME", str(sounds / "no hub"))
    monkeypatch.setattr(gemsmith.engine, "load", lambda *_, **__: pytest.fail("loaded"), raising=False)
    ended = gemsmith_("transcribe", *arguments)
    assert ended.code == code and says in ended.err and ended.out == ""


def test_the_model_that_is_set_hears(gemsmith_, ears, sounds, monkeypatch):
    monkeypatch.setenv("GEMSMITH_MODEL", "tiny-random-e2b")
    ended = gemsmith_("transcribe", f"{sounds}/short.wav")
    assert ended.code == 0 and ended.err == "(no --model given: tiny-random-e2b (GEMSMITH_MODEL))\n"


def test_a_model_that_cannot_hear_says_so_before_the_file_is_decoded(gemsmith_, sounds, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"RIFF1234WAVE nothing of a sound")
    ended = gemsmith_("transcribe", str(tmp_path / "noise.wav"), "--model", "tiny-random-26b-a4b")
    assert (
        ended.code == 1 and "noise.wav: tiny-random-26b-a4b sees but does not hear; ask a model that hears" in ended.err
    )


def test_a_real_model_hears(gemsmith_, sounds):
    ended = gemsmith_("transcribe", f"{sounds}/short.wav", "--model", "tiny-random-e2b", "--max-tokens", "3", "--json")
    segment, done = map(json.loads, ended.out.splitlines())
    assert segment["end"] == 2.0 and done["usage"]["audio_tokens"] == 50 and done["usage"]["completion_tokens"] == 3
