"""Chat templates we know, by hash. A checkpoint's own template is compared, never executed.

`render` is Google's canonical Gemma 4 template of 2026-07-09; its two files differ in the generation prompt of a model
without per-layer embeddings. An older or foreign template means that the checkpoint's makers rendered otherwise, which
`template_warning` says in a sentence.
"""

from __future__ import annotations

import hashlib

CANONICAL = {
    "0a2c8073c878ab1da004bee933a998606537bbb62016310352c7285c3f01c5b5": "Gemma 4 canonical of 2026-07-09, E2B and E4B",
    "ae53464bf3be25802b3a5b37def7fd89667067d7577049b3b2d74c4d8de4c6d4": (
        "Gemma 4 canonical of 2026-07-09, 12B, 26B-A4B and 31B"
    ),
}


def template_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def template_name(text: str | None) -> str | None:
    """The name of a template we render exactly, or None. A final newline may be missing, as in GGUF metadata."""
    if text is None:
        return None
    ended = text.rstrip("\n")
    return CANONICAL.get(template_hash(text)) or CANONICAL.get(template_hash(ended + "\n"))


def template_warning(text: str | None) -> str | None:
    """What to tell the user of a checkpoint that carries this template; None where there is nothing to tell."""
    if text is None or template_name(text) is not None:
        return None
    return (
        f"this checkpoint carries a chat template we do not know (sha256 {template_hash(text)[:8]}…). It is never"
        " executed: prompts follow Gemma 4's canonical template of 2026-07-09. If the model was trained with another"
        " form, its answers may suffer; write prompts yourself with complete() then"
    )
