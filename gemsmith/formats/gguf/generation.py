"""Stop ids and sampling values in a GGUF's metadata, as the object of a generation_config.json.

A GGUF names one end of text; llama.cpp stops at Gemma's other two by their spelling, and so does this. Sampling values
that a file does not give are the family's. Sources: llama.cpp, src/llama-vocab.cpp (end-of-generation tokens) and the
keys `general.sampling.*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemsmith.formats.gguf.metadata import Keys

STOPS = ("<eos>", "<turn|>", "<|tool_response>")


def generation_config(metadata: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """None for a file without a vocabulary."""
    tokenizer, sampling = Keys(metadata, source, "tokenizer.ggml."), Keys(metadata, source, "general.sampling.")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return None
    ids = {text: id for id, text in enumerate(tokens[:1024])}  # Gemma's control tokens for text are all below 256
    stops = dict.fromkeys([*(ids[text] for text in STOPS if text in ids), tokenizer.whole("eos_token_id", 1)])
    out: dict[str, Any] = {
        "eos_token_id": list(stops),
        "bos_token_id": tokenizer.whole("bos_token_id", 2),
        "pad_token_id": tokenizer.whole("padding_token_id", 0),
    }
    if "suppress_tokens" in tokenizer:
        out["suppress_tokens"] = tokenizer.wholes("suppress_tokens")
    if "top_k" in sampling:
        out["top_k"] = max(0, sampling.whole("top_k"))  # below 1 llama.cpp takes all
    for ours, theirs in (("top_p", "top_p"), ("min_p", "min_p"), ("repetition_penalty", "penalty_repeat")):
        if theirs in sampling:
            out[ours] = sampling.real(theirs)
    if "temp" in sampling:
        temperature = max(0.0, sampling.real("temp"))
        out |= {"temperature": temperature} if temperature else {"do_sample": False}
    return out
