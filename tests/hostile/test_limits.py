"""What a hostile file may cost: measured in a process that has 256 MB of address space and no torch.

A tokenizer gets 1.5 GB: a real one, of 262,144 tokens, takes a third of that.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith.config import preset
from gemsmith.tokenizer.json_vocabulary import NORMALIZER
from tests.hostile.child import Verdict, verdicts

pytest.importorskip("resource")
pytestmark = pytest.mark.slow

MB = 1 << 20
Write = Callable[[Path], None]
TENSOR = b'{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
EMPTY = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
EXTREMES = (0, 1, 2, 7, 10**8 + 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def raw(data: bytes, size: int | None = None) -> Write:
    """A file of these bytes, followed by a hole up to `size`, which takes no disk."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(data)
            file.truncate(size or len(data))

    return write


def safetensors(header: bytes, data: bytes = b"x") -> Write:
    return raw(len(header).to_bytes(8, "little") + header + data)


def refusals(folder: Path, cases: dict[str, Write], kind: str, megabytes: int = 256) -> Iterator[tuple[str, Verdict]]:
    """Each file's verdict: an error of ours, with a message that names the file and fits a terminal."""
    for number, write in enumerate(cases.values()):
        write(folder / f"{kind}-{number}")
    files = [(kind, folder / f"{kind}-{number}") for number in range(len(cases))]
    for name, found in zip(cases, verdicts(files, megabytes=megabytes), strict=True):
        assert found.ours, f"{name}: {found.error}: {found.message[:300]}"
        assert Path(found.path).name in found.message and len(found.message) < 2500, f"{name}: {found.message[:2000]}"
        yield name, found


def test_safetensors_lengths_cost_nothing(tmp_path: Path) -> None:
    header = b'{"a":' + TENSOR + b"}"
    cases = {str(n): raw(n.to_bytes(8, "little") + header + b"x") for n in EXTREMES}
    cases["a hundred megabytes and one"] = raw((10**8 + 1).to_bytes(8, "little") + b"{", 10**8 + 100)
    cases["a header all of zeros"] = raw((10**8).to_bytes(8, "little") + b"{", 10**8 + 8)
    cases["spaces to the end"] = raw((10**7).to_bytes(8, "little") + b"{" + b" " * (10**7 - 1))
    for name, found in refusals(tmp_path, cases, "safetensors"):
        assert found.peak < 1 * MB and found.seconds < 1, f"{name}: {found}"


@pytest.mark.long
def test_safetensors_headers_are_bounded(tmp_path: Path) -> None:
    count = 1_000_000
    many = b"".join(b'"%d":' % i + EMPTY + b"," for i in range(count))
    cases = {
        "a million tensors": safetensors(b"{" + many[:-1] + b"}", b""),
        "a million metadata keys": safetensors(
            b'{"__metadata__":{' + b"".join(b'"%d":"",' % i for i in range(count))[:-1] + b'},"a":' + TENSOR + b"}"
        ),
        "deep metadata": safetensors(b'{"__metadata__":' + b'{"a":' * count + b'""' + b"}" * count + b"}"),
        "one name, thirty megabytes": safetensors(b'{"' + b"a" * (30 * MB) + b'":' + TENSOR + b"}"),
        "one name of escapes": safetensors(b'{"' + b"\\u0041" * (5 * MB) + b'":' + TENSOR + b"}"),
        "backslashes": safetensors(b'{"' + b"\\" * (30 * MB)),
        "quotes": safetensors(b"{" + b'"' * (30 * MB)),
        "braces": safetensors(b"{" * (30 * MB)),
        "blanks inside": safetensors(b'{"a"' + b" " * (30 * MB) + b"," + TENSOR + b"}"),
        "one key a million times": safetensors(b"{" + (b'"a":' + EMPTY + b",") * count + b'"b":' + EMPTY + b"}", b""),
        "a name with NUL": safetensors(b'{"a\\u0000":' + TENSOR + b"}"),
        "half a surrogate": safetensors(b'{"\\udfff":' + TENSOR + b"}"),
        "a shape of thirty megabytes": safetensors(
            b'{"a":{"dtype":"U8","shape":[' + b"1," * (15 * MB) + b'1],"data_offsets":[0,1]}}'
        ),
    }
    for name, found in refusals(tmp_path, cases, "safetensors"):
        assert found.peak < 50 * MB and found.seconds < 1, f"{name}: {found}"


def test_configs_are_bounded(tmp_path: Path) -> None:
    sound = preset("e2b").to_json()
    cases = {
        "200 MB of spaces": raw(b"{", 200 * 10**6),
        "a depth of 100,000": raw(b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
        "a depth of 100,000, open": raw(b'{"a":' * 10**5),
        "a million commas": raw(b'{"a":[' + b"0," * (MB // 2 - 10) + b"0]}"),
        "a million digits": raw(b'{"hidden_size":' + b"9" * (MB - 100) + b"}"),
        "one key of a megabyte": raw(b'{"' + b"k" * (MB - 100) + b'":1}'),
        "a billion layers": raw(json.dumps(sound | {"text_config": {"num_hidden_layers": 10**9}}).encode()),
        "1,024 layers of 2**20": raw(
            json.dumps(
                sound | {"text_config": sound["text_config"] | {"num_hidden_layers": 2**20, "layer_types": None}}
            ).encode()
        ),
        "escapes": raw(b'{"model_type":"' + b"\\u0000" * (MB // 6 - 10) + b'"}'),
    }
    for name, found in refusals(tmp_path, cases, "config"):
        assert found.peak < 30 * MB and found.seconds < 0.5, f"{name}: {found}"


def tokenizer(**changes: Any) -> Write:
    """A tokenizer.json that is sound but for `changes`."""
    model = {"type": "BPE", "byte_fallback": True, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
    content = {"added_tokens": [], "normalizer": NORMALIZER, "model": model | changes.pop("model", {})} | changes
    return raw(json.dumps(content).encode())


REGEX_BOMB = {"Regex": "(((a+)+)+)+$"}
TOKENIZERS: dict[str, Write] = {
    "a gigabyte": raw(b"{", 1 << 30),
    "64 MB of lists": raw(b'{"model":[' + b"[]," * (20 * MB) + b"[]]}"),
    "60 MB in one text": raw(b'{"model":"' + b"x" * (60 * MB) + b'"}'),
    "60 MB of digits": raw(b'{"model":' + b"9" * (60 * MB) + b"}"),
    "four million empty objects": raw(b'{"added_tokens":[' + b"{}," * (2 * MB - 9) + b"{}]}"),
    "depth": raw(b'{"model":' * 10**6),
    "a key twice": raw(b'{"model":{"vocab":{"a":0,"a":1}}}'),
    "an id twice": tokenizer(model={"vocab": {"a": 0, "b": 0}}),
    "an id beyond the vocabulary": tokenizer(model={"vocab": {"a": 0, "b": 2**40}}),
    "an id of a thousand digits": tokenizer(model={"vocab": {"a": 0, "b": 10**1000}}),
    "merges that need each other": tokenizer(model={"merges": ["ab a", "a ba"]}),
    "a merge of nothing": tokenizer(model={"merges": [["", "a"], ["a", ""]]}),
    "an empty merge again and again": tokenizer(model={"vocab": {"": 0, "a": 1}, "merges": [" a", " a"]}),
    "a regex to normalise": tokenizer(normalizer={"type": "Replace", "pattern": REGEX_BOMB, "content": "▁"}),
    "a regex to split": tokenizer(pre_tokenizer={"type": "Split", "pattern": REGEX_BOMB, "behavior": "Isolated"}),
    "a million tokens found whole": tokenizer(
        model={"vocab": {f"<{i}>": i for i in range(500_000)}, "merges": []},
        added_tokens=[{"id": i, "content": f"<{i}>", "special": False} for i in range(500_000)],
    ),
    "long tokens found whole": tokenizer(
        model={"vocab": {"a" * 500 + str(i): i for i in range(1500)}, "merges": []},
        added_tokens=[{"id": i, "content": "a" * 500 + str(i)} for i in range(1500)],
    ),
    "a token of ten megabytes": tokenizer(model={"vocab": {"a▁" * (2 * MB): 0}, "merges": []}),
    "two million tokens": tokenizer(model={"vocab": {str(i): i for i in range(2 * 10**6)}, "merges": []}),
}


LARGE = [name for name in TOKENIZERS if "million" in name or "MB" in name or "megabytes" in name]
SMALL = [name for name in TOKENIZERS if name not in LARGE]


@pytest.mark.parametrize("names", [SMALL, pytest.param(LARGE, marks=pytest.mark.long)], ids=["small", "large"])
def test_tokenizers_are_bounded(names: list[str], tmp_path: Path) -> None:
    for name, found in refusals(tmp_path, {name: TOKENIZERS[name] for name in names}, "tokenizer", megabytes=1536):
        assert found.peak < 600 * MB and found.seconds < 10, f"{name}: {found}"


def gguf(*keys: bytes, num_keys: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys) if num_keys is None else num_keys) + b"".join(keys)


def key(kind: int, *rest: bytes, name: bytes = b"k") -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + b"".join(rest)


GIANT = 64 << 30  # a file of 64 GB, all hole
GGUFS: dict[str, Write] = {
    **{f"{n} keys": raw(gguf(num_keys=n), 10**6) for n in EXTREMES if n > 2},
    **{f"a text of {n}": raw(gguf(key(8, struct.pack("<Q", n))), 10**6) for n in EXTREMES if n > 10**6},
    **{f"{n} numbers": raw(gguf(key(9, struct.pack("<IQ", 12, n))), 10**6) for n in EXTREMES if n > 10**6},
    **{f"{n} texts": raw(gguf(key(9, struct.pack("<IQ", 8, n))), 10**6) for n in EXTREMES if n > 10**6},
    "a key name of 60 GB": raw(gguf(struct.pack("<Q", 60 << 30)), GIANT),
    "a text of 60 GB": raw(gguf(key(8, struct.pack("<Q", 60 << 30))), GIANT),
    "a hundred million bytes": raw(gguf(key(9, struct.pack("<IQ", 0, 10**8))), GIANT),
    "ten million empty texts": raw(gguf(key(9, struct.pack("<IQ", 8, 10**7))), GIANT),
    "arrays of arrays": raw(gguf(key(9, struct.pack("<IQ", 9, 10**6))), GIANT),
    "a key name, long and wrong": raw(gguf(key(77, name=b"k" * MB))),
}


def test_gguf_metadata_is_bounded(tmp_path: Path) -> None:
    small = {name: write for name, write in GGUFS.items() if write not in GIANTS}
    for name, found in refusals(tmp_path, small, "gguf"):
        assert found.peak < 50 * MB and found.seconds < 1, f"{name}: {found}"


def test_gguf_metadata_of_giant_files_is_bounded(tmp_path: Path) -> None:
    """Mapping takes address space, not memory, so here only what Python allocates is bounded."""
    for name, found in refusals(tmp_path, {name: GGUFS[name] for name in GIANT_NAMES}, "gguf", megabytes=70 << 10):
        assert found.peak < 50 * MB and found.seconds < 1, f"{name}: {found}"


GIANT_NAMES = [name for name in GGUFS if name.endswith("GB") or "million" in name or name == "arrays of arrays"]
GIANTS = [GGUFS[name] for name in GIANT_NAMES]
