"""The vocabulary in a GGUF file's metadata.

Gemma 4's has the model name "gemma4", one text and one type a token, and merges; scores are not needed.
Keys and token types: llama.cpp, gguf-py/gguf/constants.py; behaviour: llama.cpp src/llama-vocab.cpp,
LLAMA_VOCAB_PRE_TYPE_GEMMA4.
"""

from __future__ import annotations

from pathlib import Path
from reprlib import repr as shown  # short, however large the value
from typing import Any

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer.gguf import read_metadata
from gemsmith.tokenizer.vocabulary import Vocabulary

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = TYPES = range(1, 7)


def read(path: Path) -> Vocabulary:
    """The vocabulary of a Gemma 4 model in GGUF."""
    metadata = read_metadata(path)
    model = metadata.get("tokenizer.ggml.model")
    if model != "gemma4":
        raise TokenizerError(f"{path} has the tokenizer model {shown(model)}, not 'gemma4'; is it a Gemma 4 model?")
    tokens = _strings(path, metadata, "tokenizer.ggml.tokens")
    merges = _strings(path, metadata, "tokenizer.ggml.merges")
    types = metadata.get("tokenizer.ggml.token_type", [NORMAL] * len(tokens))
    if not isinstance(types, list) or len(types) != len(tokens) or not set(types) <= set(TYPES):
        raise TokenizerError(
            f"{path} has {len(tokens)} tokens, but tokenizer.ggml.token_type does not type each of them"
        )
    odd = {id: type for id, type in enumerate(types) if type not in (NORMAL, BYTE)}
    return Vocabulary(
        source=str(path),
        tokens=tokens,
        merges=merges,
        special=frozenset(id for id, type in odd.items() if type != USER_DEFINED),
        whole={tokens[id]: id for id, type in odd.items() if type == USER_DEFINED},
        whole_normalized={},
    )


def _strings(path: Path, metadata: dict[str, Any], key: str) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, list) or (value and type(value[0]) is not str):
        raise TokenizerError(f"{path} has no list of texts {key}; a Gemma 4 GGUF has one")
    return value
