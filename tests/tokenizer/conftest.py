"""Vocabularies to test with: the real one, and small ones trained here; the `tokenizers` library is the oracle."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemsmith.kernels import available
from gemsmith.tokenizer import Tokenizer
from gemsmith.tokenizer.json_vocabulary import DECODER, NORMALIZER
from gemsmith.tokenizer.table import FILE_NAME
from gemsmith.tokenizer.table_writer import write_table

REAL = "ggml-vocab-gemma-4.gguf"
CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", '<|"|>']
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# fmt: off
FRAGMENTS = [
    "a", "e", "the", " the", "Hello", "world", "def f(x):", "    return x\n", "for(;;){}", "http://", "0", "123", "3.1",
    " ", "  ", "   ", " " * 40, "\n", "\n\n", "\n" * 33, "\t", "\t\t\t", "\r\n", "\r", "\x00", "\x7f", "\u00a0",
    "é", "e\u0301", "ﬀ", "ß", "İ", "Straße", "你好", "世界", "こんにちは", "한국어", "ភាសា", "עברית", "العربية",
    "😀", "👨\u200d👩\u200d👧", "👍🏽", "🇨🇭", "❤\ufe0f", "𝕏", "\U000e0041", "\U0010ffff", "\ue000", "\ufeff", "▁",
    "\u202e", "▁▁a", ">", "</", "> </", ">  </", "><", "<td>", "</td> </tr>", "<table>", "<0x0A>", "<unused3>",
    "[multimodal]", "<bos>", "<|turn>", "<turn|>", "<|turn>model\n", '<|"|>', "<|image|>", "<|channel>thought\n",
    "<|", "<|tool_call>",
]
# fmt: on


def random_texts(count: int) -> list[str]:
    """Texts of up to 20 fragments and stray characters: code, whitespace, emoji, scripts, control tokens spelled."""
    choose = random.Random(4)
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    return [
        "".join(choose.choice(FRAGMENTS if choose.random() < 0.9 else characters) for _ in range(choose.randint(0, 20)))
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return FRAGMENTS + random_texts(3000)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data that does not travel with the project; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("GEMSMITH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (folder / REAL).is_file():
        pytest.skip(f"{REAL} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    return folder


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Tokenizer:
    return Tokenizer.from_gguf(shared_data / REAL)


@pytest.fixture(autouse=True)
def kept_tables_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a cache folder of its own for the tables of large vocabularies."""
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "tables"


@pytest.fixture(scope="session")
def built() -> None:
    """What asks for this is skipped where the native code is not built."""
    if not available():
        pytest.skip("the native code is not built; install gemsmith where there is a C++ compiler")


@pytest.fixture(scope="session")
def real_table(real: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real vocabulary's table, in a folder as a pack has it."""
    path = tmp_path_factory.mktemp("pack") / FILE_NAME
    write_table(path, real.vocabulary)
    return path


@pytest.fixture(scope="session")
def plain_oracle() -> Callable[[dict[str, int], list[Any]], Any]:
    """The `tokenizers` pipeline of GemmaTokenizer for a vocabulary, with no added token at all: content only."""
    tokenizers = pytest.importorskip("tokenizers")

    def build(vocab: dict[str, int], merges: list[Any]) -> Any:
        pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
        model = tokenizers.models.BPE(vocab, pairs, fuse_unk=True, unk_token="<unk>", byte_fallback=True)
        oracle = tokenizers.Tokenizer(model)
        oracle.normalizer = tokenizers.normalizers.Replace(" ", "▁")
        oracle.pre_tokenizer = tokenizers.pre_tokenizers.Split(" ", "merged_with_previous")
        oracle.decoder = tokenizers.decoders.Sequence(
            [tokenizers.decoders.Replace("▁", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse()]
        )
        return oracle

    return build


@pytest.fixture(scope="session", params=["words", "phrases"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json trained here: on words, or on whole texts, which gives tokens that reach across spaces."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    if request.param == "words":
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [
                tokenizers.pre_tokenizers.Split("▁", "merged_with_next"),
                tokenizers.pre_tokenizers.Split("\n", "isolated"),
            ]
        )
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, special_tokens=CONTROL + BYTES, show_progress=False)
    tokenizer.train_from_iterator([text.replace("😀", "") for text in random_texts(600)], trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in CONTROL]
    content |= {"pre_tokenizer": None, "normalizer": NORMALIZER, "decoder": DECODER}
    path = tmp_path_factory.mktemp(request.param) / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small, sound tokenizer.json with some of its keys, or its model's, replaced."""

    def write(model: dict[str, Any] | None = None, **changes: Any) -> Path:
        vocab = {text: id for id, text in enumerate([*CONTROL, *BYTES, *"▁abc", "ab", "▁a"])}
        added = [{"id": id, "content": text, "special": True} for id, text in enumerate(CONTROL)]
        content = {
            "added_tokens": added,
            "normalizer": NORMALIZER,
            "model": {"type": "BPE", "byte_fallback": True, "vocab": vocab, "merges": ["a b", "▁ a"]} | (model or {}),
        }
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps(content | changes), encoding="utf-8")
        return path

    return write


def gguf_string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value: Any) -> bytes:
    """A type and a value: text, whole number, or a list of one of these."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_string(value)
    if isinstance(value, int):
        return struct.pack("<Ii", 5, value)
    head = struct.pack("<IIQ", 9, 8 if value and isinstance(value[0], str) else 5, len(value))
    return head + b"".join(gguf_string(item) if isinstance(item, str) else struct.pack("<i", item) for item in value)


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes a GGUF file that has only metadata."""

    def write(values: dict[str, Any], *, version: int = 3, num_keys: int | None = None) -> Path:
        path = tmp_path / "vocabulary.gguf"
        head = b"GGUF" + struct.pack("<IQQ", version, 0, len(values) if num_keys is None else num_keys)
        path.write_bytes(head + b"".join(gguf_string(key) + gguf_value(value) for key, value in values.items()))
        return path

    return write
