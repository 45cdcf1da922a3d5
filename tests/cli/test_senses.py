"""`gemsmith run --image` and its like: what the model is given, and every way in which that cannot be."""

from __future__ import annotations

import json
import tempfile
import warnings
from importlib import util
from pathlib import Path

import pytest

from gemsmith.chat.values import Audio, Document, Event, Image, Media, Message, Text, Usage, Video
from gemsmith.cli import attachments, reading
from gemsmith.errors import ContextLengthError, GemsmithError, MediaError, UnsupportedMediaError
from gemsmith.media.settings import MediaSettings

from .media import PNG, write_pdf, write_picture, write_sound

FILES = {"a.png": PNG, "b.jpg": b"\xff\xd8\xff", "c.pdf": b"%PDF-1.7", "d.wav": b"RIFF1234WAVE", "e.mp4": b"1234ftyp"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of each kind, as far as their first bytes tell."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    return folder


def test_media_stand_before_the_words_in_the_order_typed(gemsmith_, model, here):
    flags = ["--image", "b.jpg", "--pdf", "c.pdf", "--image", "a.png", "--audio", "d.wav", "--video", "e.mp4"]
    ended = gemsmith_("run", "tiny-random-e2b", *flags, "hi")
    assert ended.code == 0, ended.err
    assert model.asked[0][0][0].parts == (
        Image(here / "b.jpg"),
        Document(here / "c.pdf"),
        Image(here / "a.png"),
        Audio(here / "d.wav"),
        Video(here / "e.mp4"),
        Text("hi"),
    )
    assert "media" not in model.asked[0][1]  # the model's own limits hold


def test_how_closely_to_look(gemsmith_, model, here):
    more = ["--image-tokens", "1120", "--pages", "1-3,7", "--frames", "4", "--cut-audio"]
    gemsmith_(
        "run",
        "tiny-random-e2b",
        "hi",
        "--image",
        "a.png",
        "--pdf",
        "c.pdf",
        "--audio",
        "d.wav",
        "--video",
        "e.mp4",
        *more,
    )
    assert model.asked[0][0][0].parts[:-1] == (
        Image(here / "a.png", 1120),
        Document(here / "c.pdf", "1-3,7", 1120),
        Audio(here / "d.wav", "cut"),
        Video(here / "e.mp4", frames=4),
    )
    gemsmith_("run", "tiny-random-e2b", "hi", "--video", "e.mp4", "--fps", "0.5")
    assert model.asked[1][0][0].parts[0] == Video(here / "e.mp4", fps=0.5)


def test_addresses_are_fetched_where_that_is_allowed(gemsmith_, model, here):
    address = "https://example.org/a.png"
    ended = gemsmith_("run", "tiny-random-e2b", "hi", "--image", address)
    assert ended.code == 1 and not model.loaded
    assert ended.err == (
        f"gemsmith: error: --image {address}: addresses are fetched only with --allow-urls; or give a file\n"
    )
    gemsmith_("run", "tiny-random-e2b", "hi", "--image", address, "--allow-urls")
    (message,), options = model.asked[0]
    assert message.parts[0] == Image(address) and options["media"] == MediaSettings(allow_urls=True)


def test_every_line_of_a_pipe_gets_them(gemsmith_, model, here):
    gemsmith_("run", "tiny-random-e2b", "--image", "a.png", stdin="one\ntwo\n")
    assert [messages[0].parts for messages, _ in model.asked] == [
        (Image(here / "a.png"), Text("one")),
        (Image(here / "a.png"), Text("two")),
    ]


def test_a_conversation_keeps_them_as_paths(gemsmith_, model, here):
    gemsmith_("run", "tiny-random-e2b", "one", "--image", "a.png", "--image-tokens", "70", "--conversation", "seen")
    gemsmith_("run", "tiny-random-e2b", "two", "--conversation", "seen")
    assert model.asked[1][0][0].parts == (Image(here / "a.png", 70), Text("one"))


WRONG_FLAGS = [
    (["--image-tokens", "100", "--image", "a.png"], "invalid choice: 100"),
    (["--image-tokens", "280"], "--image-tokens says how to take --image or --pdf: give one"),
    (["--pages", "1", "--image", "a.png"], "--pages says how to take --pdf: give one"),
    (["--pages", "first", "--pdf", "c.pdf"], "pages are numbers and ranges from 1, as in 1-3,7, found 'first'"),
    (["--pages", "0", "--pdf", "c.pdf"], "pages are counted from 1, the smaller first, found '0'"),
    (["--pages", "1-2,3-1", "--pdf", "c.pdf"], "pages are counted from 1, the smaller first, found '1-2,3-1'"),
    (["--frames", "3", "--audio", "d.wav"], "--frames says how to take --video: give one"),
    (["--frames", "0", "--video", "e.mp4"], "frames are counted from 1, found '0'"),
    (["--fps", "nan", "--video", "e.mp4"], "frames a second are more than 0 and at most 1000, found 'nan'"),
    (["--fps", "2", "--frames", "3", "--video", "e.mp4"], "give one of them"),
    (["--cut-audio", "--video", "e.mp4"], "--cut-audio says how to take --audio: give one"),
    (["--raw", "--image", "a.png"], "--raw continues plain text"),
    (["--draw", "out.png"], "--draw needs a picture to draw into: give --image"),
    (["--draw", "out.png", "--image", "a.png", "--pdf", "c.pdf"], "put --image after it"),
]


@pytest.mark.parametrize("flags, says", WRONG_FLAGS)
def test_flags_that_do_not_go_together_are_told_before_anything_is_loaded(gemsmith_, model, here, flags, says):
    ended = gemsmith_("run", "tiny-random-e2b", "hi", *flags)
    assert ended.code == 2 and says in ended.err and not model.loaded


def test_a_drawing_is_of_one_answer(gemsmith_, model, here):
    ended = gemsmith_("run", "tiny-random-e2b", "--draw", "out.png", "--image", "a.png", stdin="one\n")
    assert ended.code == 2 and "--draw draws one answer" in ended.err


WRONG_FILES = [
    (["--image", "none.png"], "--image none.png: No such file or directory; check the path and its permissions"),
    (["--image", "."], "--image .: it is not a regular file; name the file itself, not a folder, pipe or device"),
    (["--image", ""], "--image '': that is no path; name a file"),
    (["--image", "c.pdf"], "--image c.pdf: that is a PDF; give it with --pdf"),
    (["--pdf", "a.png"], "--pdf a.png: that is a picture; give it with --image"),
    (["--audio", "a.png"], "--audio a.png: that is a picture; give it with --image"),
    (["--video", "d.wav"], "--video d.wav: that is a sound; give it with --audio"),
    (["--file", "a.png"], "a.png is no text: it looks like a picture (PNG); pictures go with --image, in a chat"),
    (["--file", "c.pdf"], "c.pdf is no text: it looks like a PDF; its pages go with --pdf, in a chat with /pdf"),
    (["--file", "d.wav"], "d.wav is no text: it looks like a sound (WAV); sounds go with --audio"),
    (["--image", "a.png", "--draw", "out.jpg"], "--draw out.jpg: a PNG is drawn; give it a name that ends in .png"),
    (["--image", "a.png", "--draw", "no/out.png"], "--draw no/out.png: there is no folder no; create it first"),
    (["--image", "a.png", "--draw", "a.png"], "--draw a.png: that would replace what --image a.png shows"),
    (["--image", "a.png", "--draw", "d.png"], "--draw d.png: that is no file that could be replaced"),
]


@pytest.mark.parametrize("flags, says", WRONG_FILES)
def test_files_that_cannot_be_taken_are_told_before_anything_is_loaded(gemsmith_, model, here, flags, says):
    (here / "d.png").mkdir()
    ended = gemsmith_("run", "tiny-random-e2b", "hi", *flags)
    assert ended.code == 1 and ended.err.startswith(f"gemsmith: error: {says}") and not model.loaded


def test_a_folder_that_takes_no_files_is_told_before_anything_is_loaded(gemsmith_, model, here, monkeypatch):
    def refuse(*, dir):
        raise FileNotFoundError(2, "as in /proc, where root may do everything, and nothing can be made")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    ended = gemsmith_("run", "tiny-random-e2b", "hi", "--image", "a.png", "--draw", "out.png")
    assert ended.err == "gemsmith: error: --draw out.png: nothing can be written in .; choose another folder\n"
    assert ended.code == 1 and not model.loaded


def test_a_package_that_is_not_installed_is_named_with_its_command(gemsmith_, model, here, monkeypatch):
    monkeypatch.setattr(attachments, "find_spec", lambda name: None if name == "av" else util.find_spec(name))
    ended = gemsmith_("run", "tiny-random-e2b", "hi", "--audio", "d.wav")
    assert ended.err.endswith("needs av, which is not installed; run: pip install 'gemsmith[media]'\n")
    assert gemsmith_("run", "tiny-random-e2b", "hi", "--image", "a.png").code == 0


@pytest.mark.parametrize(
    "refusal, says",
    [
        (MediaError("media_damaged", "picture 1: the file is damaged"), "--image a.png: the file is damaged"),
        (UnsupportedMediaError("fake cannot take image parts"), "--image a.png: fake cannot take image parts"),
        (MediaError("media_too_large", "have it cut (longer='cut')"), "--image a.png: have it cut (--cut-audio)"),
    ],
)
@pytest.mark.parametrize("stdin", ["", "one\ntwo\n"])
def test_what_a_model_refuses_has_the_words_that_were_typed(gemsmith_, model, here, refusal, says, stdin):
    model.refusal = refusal
    ended = gemsmith_(
        "run", "tiny-random-e2b", *([] if stdin else ["hi"]), "--image", "a.png", "--pdf", "c.pdf", stdin=stdin
    )
    assert (ended.code, ended.out, ended.err) == (1, "", f"gemsmith: error: {says}\n")  # once, for all lines


@pytest.mark.parametrize(
    "name, flags, says",
    [
        ("pebble", ["--image", "a.png"], "--image a.png: pebble reads text alone; ask a model that sees, such as e2b"),
        (
            "31b",
            ["--video", "e.mp4", "--audio", "d.wav"],
            "--audio d.wav: 31b sees but does not hear; ask a model that",
        ),
    ],
)
def test_a_sense_that_is_lacking_is_told_before_anything_is_fetched(gemsmith_, model, here, name, flags, says):
    ended = gemsmith_("run", name, "hi", *flags)
    assert ended.code == 1 and ended.err.startswith(f"gemsmith: error: {says}") and not model.loaded


@pytest.mark.parametrize("stdin", ["", "one\ntwo\n"])
def test_what_does_not_fit_comes_with_what_would_take_less(gemsmith_, model, here, stdin):
    def full(messages):
        raise ContextLengthError(1200, 1000)

    model.answer = full
    model.max_context = 15 if stdin else 1000  # two parts have ten tokens each
    flags = ["--video", "e.mp4", "--pdf", "c.pdf"]
    ended = gemsmith_("run", "tiny-random-e2b", *([] if stdin else ["hi"]), *flags, stdin=stdin)
    assert ended.code == 1 and ended.err.endswith("fewer --pages, or fewer --frames, or a smaller --image-tokens\n")
    assert not stdin or "--video e.mp4, --pdf c.pdf: that is 20 tokens, and the model's context is 15" in ended.err


def test_a_saved_conversation_tells_which_file_is_gone(gemsmith_, model, here):
    gemsmith_("run", "tiny-random-e2b", "one", "--image", "a.png", "--conversation", "seen")
    (here / "a.png").unlink()
    model.refusal = MediaError("media_not_found", "picture 1: there is no regular file to read")
    ended = gemsmith_("run", "tiny-random-e2b", "two", "--conversation", "seen")
    assert ended.code == 1 and ended.err == (
        f"gemsmith: error: picture {here}/a.png: the conversation shows it, and it is no longer there; put it back, or"
        " begin another conversation\n"
    )


def test_a_remark_is_told_once_and_again_where_the_file_is_given_anew(capsys):
    clip = Video(Path("/nowhere/e.mp4"))

    def looks(words, **options):
        with reading.attending([clip], words, **options):
            warnings.warn("clip 1: 60 frames are shown", stacklevel=1)
        return capsys.readouterr().err

    typed: dict[Media, str] = {clip: "/video e.mp4"}
    assert looks(typed, is_first=True) == "(/video e.mp4: 60 frames are shown)\n"
    assert looks({}) == looks({}) == ""  # the question, and the turns after it
    assert looks(typed, is_first=True) != ""


def test_in_a_chat_a_flag_is_said_to_be_one_of_its_beginning():
    sound = Audio("a.wav")
    told = reading.in_words("sound 1: have it cut (longer='cut')", [sound], {sound: "/audio a.wav"})
    assert told == "/audio a.wav: have it cut (in a chat begun with --cut-audio)"
    with pytest.raises(GemsmithError, match="fetched only in a chat begun with --allow-urls; or give a file"):
        attachments.attached("/image", "http://example.org/a.png", attachments.Look())


def test_events_count_what_was_seen_and_have_the_marks(gemsmith_, model, here):
    answer = (Text('[{"box_2d": [0, 0, 500, 500], "label": "cup"}, {"point": [1000, 0]}]'),)
    message = Message("assistant", answer, Usage(300, 5, image_tokens=280), "stop", pictures=((200, 100),))
    model.answer = lambda messages: iter([Event("done", message=message)])
    done = json.loads(gemsmith_("run", "tiny-random-e2b", "where?", "--image", "a.png", "--json").out)
    assert done["usage"]["prompt_tokens_details"] == {"image_tokens": 280, "video_tokens": 0, "audio_tokens": 0}
    assert done["boxes"] == [{"label": "cup", "left": 0, "top": 0, "right": 100, "bottom": 50, "picture": 0}]
    assert done["points"] == [{"label": "", "x": 0, "y": 100, "picture": 0}]


def test_in_a_chat_media_go_with_the_first_question(gemsmith_, model, here, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    lines = iter(["one", "two"])

    def typed(label=""):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    ended = gemsmith_("run", "tiny-random-e2b", "--image", "a.png", "--frames", "3", terminal=True)
    assert ended.code == 0, ended.err
    assert [messages[-1].parts for messages, _ in model.asked] == [
        (Image(here / "a.png"), Text("one")),
        (Text("two"),),
    ]


@pytest.mark.slow
def test_a_model_sees_and_hears(gemsmith_, here):
    """A whole command, with nothing faked: towers from a seed, files decoded in their own process."""
    pytest.importorskip("torch")
    write_picture(here / "room.png")
    write_pdf(here / "two.pdf", 2)
    write_sound(here / "one.wav", 1)
    few = ["--max-tokens", "2", "--temperature", "0", "--json"]
    media = ["--image", "room.png", "--pdf", "two.pdf", "--pages", "2", "--audio", "one.wav", "--image-tokens", "70"]
    ended = gemsmith_("run", "tiny-random-e2b", "hi", *media, *few)
    assert ended.code == 0, ended.err
    done = json.loads(ended.out.splitlines()[-1])
    details = done["usage"]["prompt_tokens_details"]
    assert 70 < details["image_tokens"] <= 2 * 70 and details["audio_tokens"] == 25 and not details["video_tokens"]
    assert done["message"]["pictures"][0] == [96, 48]
    (here / "room.png").write_bytes((here / "room.png").read_bytes()[:70])
    ended = gemsmith_("run", "tiny-random-e2b", "hi", "--pdf", "two.pdf", "--image", "room.png")
    assert ended.code == 1 and ended.err.startswith("gemsmith: error: --image room.png: the picture is damaged")
    ended = gemsmith_("run", "pebble", "hi", "--audio", "one.wav")
    assert ended.code == 1 and ended.err.startswith("gemsmith: error: --audio one.wav: pebble reads text alone")
