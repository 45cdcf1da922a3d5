"""The names of released models: what each means on the Hugging Face Hub, and how much that is."""

from __future__ import annotations

from docs.parts.family import BYTES_PER_NUMBER, table
from gemsmith.cli.show import scaled
from gemsmith.config import cost, preset
from gemsmith.hub.known import preset_of, short_names


def released() -> str:
    """One row a repository, with all its short names."""
    by_repo: dict[str, list[str]] = {}
    for short, repo in short_names().items():
        by_repo.setdefault(repo, []).append(short)
    rows = []
    for repo, shorts in by_repo.items():
        name = preset_of(repo)
        assert name is not None, f"{repo} has no config here"
        nbytes = BYTES_PER_NUMBER * cost.total_parameters(preset(name))
        rows.append([", ".join(f"`{short}`" for short in shorts), f"`{repo}`", scaled(nbytes, "B")])
    return table(["type", "for", "about"], rows, "llr")
