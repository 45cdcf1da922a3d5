"""Documents for a prompt: every encoding read or refused in words, and no content that ends its own fence."""

from __future__ import annotations

import codecs
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.cli import documents
from gemsmith.cli.documents import Document
from gemsmith.cli.encodings import BINARY, decode
from gemsmith.errors import GemsmithError

LATIN = "Le café est à côté de l’hôtel — naïve Übergröße, señor ½ €5.\n"
JAPANESE = "これは日本語のテキストです。漢字とカタカナも含まれています。\n二行目。\n"
KOREAN = "안녕하세요. 이것은 한국어 텍스트입니다. 오늘 날씨가 좋네요.\n"
SIMPLIFIED = "这是一个中文文本。我们今天要去北京，天气很好，你也来吗？\n"
TRADITIONAL = "這是一個中文文本。我們今天要去台北，天氣很好，你也來嗎？\n"
RUSSIAN = "Это русский текст, написанный в старой кодировке.\n"
ENGLISH = "Plain words: 1 + 1 = 2.\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", LATIN),
        ("latin-1", "größe, garçon, Ærøskøbing på\n"),
        ("cp932", JAPANESE),
        ("shift_jis", JAPANESE),
        ("euc_jp", JAPANESE),
        ("cp949", KOREAN),
        ("gbk", SIMPLIFIED),
        ("gb18030", SIMPLIFIED),
        ("big5", TRADITIONAL),
        ("cp1251", RUSSIAN),
        ("koi8_r", RUSSIAN),
        *(
            (wide, text)
            for wide in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
            for text in (ENGLISH, JAPANESE)
        ),
    ],
)
def test_guesses_are_right_and_told(encoding, text):
    decoded = decode(text.encode(encoding), "a.txt")
    assert (decoded.text, decoded.is_guess) == (text, True)


@pytest.mark.parametrize("text", ["", ENGLISH, LATIN, JAPANESE, KOREAN, RUSSIAN, "👍🏽 é\u2028"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marks_and_utf_8_are_no_guess(encoding, text):
    decoded = decode(text.encode(encoding), "a.txt")
    assert (decoded.text, decoded.is_guess) == (text, False)


@given(st.text())
def test_utf_8_is_read_as_it_is_or_refused(text):
    try:
        decoded = decode(codecs.BOM_UTF8 + text.encode("utf-8", "replace"), "a.txt")
    except GemsmithError:
        assert set(text) & set(map(chr, range(32)))
    else:
        assert decoded.text == text.encode("utf-8", "replace").decode().removeprefix("\ufeff")


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data):
    try:
        assert "\0" not in decode(data, "a.bin").text
    except GemsmithError as error:
        assert "a.bin" in str(error)


@pytest.mark.parametrize("magic", [magic for magic, _ in BINARY] + [b"RIFF1234WEBPVP8 ", b"\0\0\0\x18ftypmp42"])
def test_binary_files_are_refused_by_what_they_look_like(magic):
    with pytest.raises(GemsmithError, match="it looks like"):
        decode(magic + b"\x01\x02\xff\0" * 20, "a.bin")


def test_a_pdf_says_not_yet():
    with pytest.raises(GemsmithError, match="a PDF; its pages go with --pdf, in a chat with /pdf"):
        decode(b"%PDF-1.7\n...", "a.pdf")


def test_an_encoding_that_is_named_is_taken():
    assert decode("größe".encode("cp437"), "a", "cp437").text == "größe"
    with pytest.raises(GemsmithError, match="is not utf-8"):
        decode(b"\xff\xfe\xfd", "a", "utf-8")
    for wrong in ("klingon", "base64", "rot13", "a\0b"):
        with pytest.raises(GemsmithError):
            decode(b"abc", "a", wrong)


@given(st.text(alphabet="`~\n ab", max_size=60))
def test_content_cannot_end_its_fence(text):
    head, fence, *body, last = Document("a.md", text).fenced().split("\n")
    assert (head, fence, last) == ("File: a.md", "`" * len(fence), fence)
    assert "\n".join(body).rstrip("\n") == text.rstrip("\n")
    assert max((len(run) for run in re.findall("`+", "\n".join(body))), default=0) < len(fence)


def test_a_name_is_one_harmless_line(tmp_path):
    path = tmp_path / "a\n```\x1b[2J.txt"
    path.write_text("x")
    head = documents.read(str(path)).fenced().splitlines()[0]
    assert head == "File: a????␛[2J.txt"


def test_a_file_that_cannot_fit_is_not_read(tmp_path):
    path = tmp_path / "huge.txt"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(GemsmithError, match=r"huge.txt has 1,099,511,627,776 bytes, far more than .* 2,048 tokens"):
        documents.read(str(path), most_tokens=2048)


def test_megabytes_are_not_counted(model, monkeypatch):
    monkeypatch.setattr(model.tokenizer, "encode", lambda _: pytest.fail("they were made tokens"))
    with pytest.raises(GemsmithError, match=r"a.txt is at least 32,258 tokens, and the model's context is 1,000;"):
        documents.num_tokens(model, Document("a.txt", "x" * 1_000_000))


def test_quotes_and_homes_are_a_shells(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b.txt").write_bytes(b"x\r\ny\r\n")
    assert documents.read("~/a b.txt").text == documents.read(f"'{tmp_path}/a b.txt'").text == "x\ny\n"
