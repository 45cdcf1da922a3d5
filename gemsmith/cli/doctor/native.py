"""The native engine: its self-test; of one model, a pack's tensors and sums, memory, and bytes read for a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gemsmith.cli.doctor.finding import OURS, Finding, part, size

if TYPE_CHECKING:
    from gemsmith.config import ModelConfig
    from gemsmith.engine.outlook import Outlook
    from gemsmith.formats.pack import Pack
    from gemsmith.hub.names import Resolved
    from gemsmith.runtime.selftest import Check
    from gemsmith.runtime.subjects import Subject

PLENTY = 5  # names told before "…"


def tensors(pack: Pack, facts: dict[str, Any]) -> Finding:
    """What a pack holds, and by which policy."""
    from gemsmith.formats.pack import sizes_of

    sizes = sizes_of(pack)
    facts["tensors"], facts["bytes"], facts["policy"] = len(pack.tensors), pack.nbytes, pack.policy
    facts["formats"] = sizes.formats
    held = ", ".join(f"{size(nbytes)} of {format}" for format, nbytes in sizes.formats.items())
    return Finding("ok", "tensors", f"{len(pack.tensors):,} as the config asks for, packed as {pack.policy}: {held}")


def look(found: Resolved, config: ModelConfig, content: object, facts: dict[str, Any]) -> Iterator[Finding]:
    """Kernels and threads, bytes read for a token, the pack of a model that is none, and what fits."""
    from gemsmith import kernels
    from gemsmith.engine.outlook import outlook

    if not kernels.available():
        yield missing()
        return
    ahead = outlook(found.name)
    facts["engine"] = {"name": "native", "isa": kernels.isa(), "threads": kernels.native().default_threads()}
    facts["read_per_token"], facts["kv"], facts["disk"] = ahead.read_per_token, ahead.kv_bytes, asdict(ahead.disk)
    facts["disk"]["folder"] = str(ahead.disk.folder or "")
    facts["memory"], facts["context"] = {**ahead.memory, "total": ahead.total}, ahead.context
    yield Finding("ok", "engine", ahead.how)
    yield from _pack(ahead)
    table = f"; {size(ahead.disk.table)} of per-layer embeddings stay on the disk" if ahead.disk.table else ""
    yield Finding("ok", "reads", f"{size(ahead.read_per_token)} of weights for each token that it writes{table}")
    if ahead.problem:
        yield Finding("wrong", "memory", ahead.problem)
        return
    parts = f"weights {size(ahead.memory['weights'])}, keys and values in {ahead.kv} {size(ahead.memory['kv'])}"
    smaller = ahead.kv_bytes.get(ahead.context, {}).get("q8")
    less = f" (q8: {size(smaller)})" if smaller is not None else ""
    text = f"{size(ahead.total)} with {ahead.context:,} tokens of context: {parts}{less}; free are {size(ahead.free)}"
    yield Finding("note" if ahead.told else "ok", "memory", f"{text}. {ahead.told}" if ahead.told else text)


def _pack(ahead: Outlook) -> Iterator[Finding]:
    from gemsmith.hub.places import shown

    if ahead.disk.folder is None:
        return
    where = f"{size(ahead.disk.pack)} in {shown(ahead.disk.folder)}"
    yield Finding("ok", "pack", f"there: {where}" if ahead.disk.is_packed else f"made at the first run: {where}")


def missing() -> Finding:
    """The native engine is not there."""
    from gemsmith.errors import GemsmithError
    from gemsmith.kernels import native

    try:
        native()
    except GemsmithError as error:
        return Finding("wrong", "engine", str(error))
    raise AssertionError("it is there")


def sums(pack: Pack, facts: dict[str, Any], say: Callable[[str], None]) -> Iterator[Finding]:
    """Every byte of a pack against its checksum, the tokenizer's table too."""
    from gemsmith.errors import GemsmithError
    from gemsmith.formats.pack import damaged
    from gemsmith.formats.pack.verify import path_of_table
    from gemsmith.tokenizer.table import open_table

    bad = damaged(pack, lambda done, total: say(f"checking sums: {done / max(total, 1):.0%} of {size(total)}"))
    facts["damaged"] = bad
    for name in bad[:PLENTY]:
        yield Finding("wrong", "weights", f"{name} is not as it was written; pack the model again")
    if (more := len(bad) - PLENTY) > 0:
        yield Finding("wrong", "weights", f"{more} more tensors are damaged")
    if (table := path_of_table(pack)) is not None:
        try:
            open_table(table).verify()
        except GemsmithError as error:
            yield Finding("wrong", "tokenizer", str(error))
    yield from _small_files(pack, facts)
    if not bad:
        yield Finding("ok", "weights", f"{size(pack.nbytes)} read: every checksum is right")


def _small_files(pack: Pack, facts: dict[str, Any]) -> Iterator[Finding]:
    from gemsmith.formats.pack.small_files import changed, told

    if pack.sums is None or pack.path is None:
        without = "its config and tokenizer have no checksums, since an earlier version packed it; pack the model again"
        yield Finding("note", "files", without)
        return
    facts["changed"] = changed(pack.path, pack.sums)
    for name in facts["changed"]:
        yield Finding("wrong", "files", told(pack.path / name))


def self_test_alone(facts: dict[str, Any], say: Callable[[str], None]) -> Iterator[Finding]:
    """Without torch: logits of a model of each kind, beside those that another implementation once computed."""
    from gemsmith.runtime.selftest import check_native_alone
    from gemsmith.runtime.subjects import KINDS, subject

    checks = []
    for name in KINDS:
        say(f"self-test: native cpu, {name}")
        checks.append(check_native_alone(subject(name)))
    facts["native_checks"] = [asdict(check) for check in checks]
    if any(not check.is_ok for check in checks):
        yield _wrong(checks)
        return
    worst = part(max(check.error for check in checks))
    yield Finding("ok", "native cpu", f"{len(checks)} models as upstream computed them, within {worst}")


def _wrong(checks: list[Check]) -> Finding:
    """The worst of them."""
    from gemsmith import kernels

    wrong = [check for check in checks if not check.is_ok]
    worst = max(wrong, key=lambda check: (bool(check.problem), check.error))
    how = worst.problem or f"off by {part(worst.error)} of the spread, the limit is {part(worst.limit)}"
    fix = "GEMSMITH_ISA=portable gemsmith doctor" if kernels.isa() != "portable" else OURS
    return Finding("wrong", "native cpu", f"{worst.model}, {worst.way}: {how} ({kernels.isa()} kernels)", fix)


def self_test(
    subjects: list[Subject], references: Mapping[str, Any], facts: dict[str, Any], say: Callable[[str], None]
) -> Iterator[Finding]:
    """The native engine, in float and in 8 bits; its threads make no difference."""
    from gemsmith.runtime.selftest import check_native

    checks: list[Check] = []
    for each in subjects:
        if each.name in references:
            say(f"self-test: native cpu, {each.name}")
            checks += check_native(each, references[each.name])
    facts["native_checks"] = [asdict(check) for check in checks]
    if any(not check.is_ok for check in checks):
        yield _wrong(checks)
        return
    limits = sorted({check.limit for check in checks})
    errors = [max(check.error for check in checks if check.limit == limit) for limit in limits]
    models = len({check.model for check in checks})
    told = " and ".join(f"{part(e)}, limit {part(m)}" for e, m in zip(errors, limits, strict=True))
    yield Finding("ok", "native cpu", f"{models} models, {len(checks)} ways: off by {told} in 8 bits")
