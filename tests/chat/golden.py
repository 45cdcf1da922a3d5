"""Prompts the canonical template wrote, kept so that they are compared where the template itself is absent.

`python -m tests.chat.golden` writes golden.json anew, and needs the template (see `oracle.py`) and jinja2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gemsmith.chat.template import template_hash
from tests.chat.conversations import conversation
from tests.chat.oracle import expected_text, template_text

PATH = Path(__file__).with_name("golden.json")
SEEDS = range(10_000, 10_050)


def read() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


def written() -> dict[str, Any]:
    """The content of golden.json: the hashes of both files of the template, and cases with what they write."""
    cases = []
    for seed in SEEDS:
        case = conversation(seed)
        texts = {"small": expected_text(case), "large": expected_text(case, empty_thought=True)}
        if texts["small"] == texts["large"]:
            del texts["large"]
        cases.append({"case": case, **texts})
    hashes = [template_hash(template_text(empty_thought=large)) for large in (False, True)]
    return {"template": "Google Gemma 4 canonical, 2026-07-09", "sha256": hashes, "cases": cases}


if __name__ == "__main__":
    content = written()
    lines = [json.dumps(case, ensure_ascii=False) for case in content.pop("cases")]
    head = json.dumps(content)[:-1]
    PATH.write_text(head + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(f"{len(lines)} prompts, {PATH.stat().st_size} bytes")
