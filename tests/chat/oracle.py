"""The other opinion: Google's canonical Gemma 4 template run by jinja2, as transformers runs it.

The file is looked for in `../shared/data` beside the checkout, or in the folder that GEMSMITH_TEST_DATA names.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

TEMPLATE = "chat_templates/gemma-4-canonical-2026-07-09.jinja"
VOCABULARY = "ggml-vocab-gemma-4.gguf"
OPEN = "        {{- '<|turn>model\\n' -}}\n"
TURN = "        {{- '<|turn>' + role + '\\n' }}\n"
LARGE = {  # where the file of 12B, 26B-A4B and 31B differs; its sha256 is then the published one
    OPEN: OPEN
    + "        {%- if not enable_thinking -%}\n"
    + "            {{- '<|channel>thought\\n<channel|>' -}}\n"
    + "        {%- endif -%}\n",
    TURN: TURN + "\n",
}


def data_file(name: str) -> Path | None:
    """A test's data file, or None where this machine has none."""
    folder = os.environ.get("GEMSMITH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data"
    path = Path(folder) / name
    return path if path.is_file() else None


def template_text(*, empty_thought: bool = False) -> str:
    """The E2B and E4B file, or what 12B, 26B and 31B have: an empty thought in the generation prompt."""
    path = data_file(TEMPLATE)
    assert path is not None
    text = path.read_text()
    for small, large in LARGE.items() if empty_thought else ():
        assert text.count(small) == 1
        text = text.replace(small, large)
    return text


@functools.cache
def _compiled(empty_thought: bool) -> Any:
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"ensure_ascii": False, **options})

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template_text(empty_thought=empty_thought))


def expected_text(case: dict[str, Any], *, empty_thought: bool = False) -> str:
    """What the template writes for one case of `conversations.py`."""
    return _compiled(empty_thought).render(
        messages=case["messages"],
        tools=case["tools"] or None,
        enable_thinking=case["think"],
        preserve_thinking=case["preserve_thinking"],
        add_generation_prompt=case["add_generation_prompt"],
        bos_token="<bos>",
    )
