"""A checkpoint's template is known by hash, or the user is told; it is never run."""

from __future__ import annotations

from gemsmith.chat import template_name, template_warning
from tests.chat.oracle import template_text


def test_canonical_templates_need_no_warning(template: None) -> None:
    for empty_thought in (False, True):
        text = template_text(empty_thought=empty_thought)
        for given in (text, text.rstrip("\n")):
            assert template_name(given) and template_warning(given) is None


def test_others_are_told_of() -> None:
    assert template_warning(None) is None
    assert "do not know (sha256 " in str(template_warning("{{ messages }}"))
