"""Which tokens steer the model, and must therefore never come out of a user's text.

The list is Gemma 4's own. A file's types are not enough: GGUF calls seven of these "user defined", so that llama.cpp
shows them to its chat parser, and reserved `<unused…>` entries are typed as ordinary words.
Source: tokenizer_config.json of google/gemma-4-31B-it; llama.cpp convert_hf_to_gguf.py, Gemma4Model.set_vocab.
"""

from __future__ import annotations

import re

# fmt: off
CONTROL_TEXTS = frozenset((
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>",
    "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>",
    "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>',
    "<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>", "<|video|>",
))
# fmt: on
RESERVED = re.compile(r"<unused[0-9]+>|\[multimodal\]")


def is_control(text: str) -> bool:
    """Whether a vocabulary entry spelled `text` is a control token of Gemma 4, whatever its file calls it."""
    if not text.startswith(("<", "[")):  # spares the pattern for nearly all of 262,144 entries
        return False
    return text in CONTROL_TEXTS or RESERVED.fullmatch(text) is not None
