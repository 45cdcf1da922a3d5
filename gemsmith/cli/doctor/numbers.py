"""The self-test as findings: reference, runtimes, kernels, the embedded model from question to answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemsmith import kernels
from gemsmith.cli.doctor import native
from gemsmith.cli.doctor.finding import OURS, Finding, Mark, part
from gemsmith.errors import GemsmithError
from gemsmith.hub.names import available_names, resolve
from gemsmith.runtime.candidates import CANDIDATES, REFERENCE, Candidate, obstacle, torch_obstacle

if TYPE_CHECKING:
    from gemsmith.runtime.selftest import Check
    from gemsmith.runtime.subjects import Subject
    from gemsmith.runtime.torch.kernels import KernelCheck

Say = Callable[[str], None]

QUESTION, ANSWER = "What is 17 + 25?", "42"
PROMPT = "The quick brown fox counts 17 + 25 = 42 apples, then sorts: plum, fig, pear. " * 12
TEXTS = (
    "Hello, world!",
    "  two  spaces\n\n\ttabs ",
    "naïve café – Ωμέγα",
    "日本語 عربى हिन्दी",
    "👩‍🚀🏳️‍🌈",
    "<bos><|turn>user\n",
)
NUM_ON_ALL_THREADS = 128  # tokens
REINSTALL = "pip install --force-reinstall torch"


@dataclass
class Bench:
    """What the self-test has at hand: models, and what the reference says of them."""

    subjects: list[Subject]
    references: dict[str, Any]


def self_test(facts: dict[str, Any], say: Say) -> Iterator[Finding]:
    """Everything that can be compared on this machine."""
    started = time.monotonic()
    if missing := torch_obstacle():
        mark: Mark = "wrong" if missing.is_fault else "note"
        yield Finding(mark, "self-test", f"no reference to compare with: {missing.reason}", missing.fix)
        if kernels.available():
            yield from native.self_test_alone(facts, say)
            yield from _embedded(say)
        return
    from gemsmith.runtime.torch.devices import one_thread

    bench = Bench(list(_subjects(say)), {})
    with one_thread():
        reference = list(_reference(bench, facts, say))
    yield from reference
    if all(finding.mark == "ok" for finding in reference):
        if kernels.available():
            yield from native.self_test(bench.subjects, bench.references, facts, say)
        yield from _runtimes(bench, facts, say)
    yield from _embedded(say)
    facts["seconds"] = round(time.monotonic() - started, 2)


def _subjects(say: Say) -> Iterator[Subject]:
    """A small model of each kind, and embedded ones with real weights and a prompt longer than one pass."""
    from gemsmith.formats import open_checkpoint
    from gemsmith.runtime.subjects import KINDS, Subject, subject
    from gemsmith.tokenizer import load_tokenizer

    for name in KINDS:
        say(f"self-test: making {name}")
        yield subject(name)
    for name in available_names():
        with suppress(GemsmithError):  # a damaged one is told by `_embedded`
            checkpoint = open_checkpoint(_folder(name))
            text = checkpoint.config.text
            ids = load_tokenizer(_folder(name)).encode(PROMPT)
            yield Subject(name, text, checkpoint, (text.bos_token_id, *ids)[: text.max_position_embeddings])


def _reference(bench: Bench, facts: dict[str, Any], say: Say) -> Iterator[Finding]:
    """The definitions on this processor, against another implementation's numbers."""
    from gemsmith.runtime.expected import EXPECTED
    from gemsmith.runtime.selftest import check_reference
    from gemsmith.runtime.torch.kernels import reference_logits

    checks = []
    try:
        for each in bench.subjects:
            say(f"self-test: reference, {each.name}")
            bench.references[each.name] = logits = reference_logits(each.text, each.tensors, each.ids)
            if each.name in EXPECTED:
                checks.append(check_reference(each, logits))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300]
        yield Finding("wrong", "reference", f"plain torch cannot compute on this processor: {said}", REINSTALL)
        return
    facts["reference"] = [asdict(check) for check in checks]
    worst = max(checks, key=lambda check: check.error)
    if worst.is_ok:
        yield Finding("ok", "reference", f"{len(checks)} models as upstream computed them, within {part(worst.error)}")
    else:
        text = f"plain torch computes wrongly on this processor: {worst.model} is off by {part(worst.error)} of the"
        yield Finding("wrong", "reference", f"{text} spread, {part(worst.limit)} is the limit", REINSTALL)


def _runtimes(bench: Bench, facts: dict[str, Any], say: Say) -> Iterator[Finding]:
    """Each available candidate and, under it, the kernels it would use."""
    from gemsmith.runtime.torch.devices import one_thread

    results: dict[Candidate, list[Check]] = {}
    kernels: dict[Candidate, list[KernelCheck]] = {}
    for candidate in CANDIDATES:
        if obstacle(candidate) is not None:
            continue
        with one_thread():
            results[candidate] = _checks(candidate, bench, say)
            kernels[candidate] = _kernel_checks(candidate, bench, say)
        results[candidate] += _check_on_all_threads(candidate, bench, say)
    facts["checks"] = {str(each): [asdict(check) for check in checks] for each, checks in results.items()}
    facts["kernels"] = {str(each): [asdict(check) for check in checks] for each, checks in kernels.items()}
    bad = {each: [k for k in kernels[each] if not _is_kernel_ok(k, each)] for each in results}
    sound = [each for each in results if not bad[each] and all(check.is_ok for check in results[each])]
    for candidate, checks in results.items():
        yield _runtime_finding(candidate, checks, bad[candidate], sound)
        yield from (_kernel_finding(candidate, check, sound) for check in kernels[candidate])


def _checks(candidate: Candidate, bench: Bench, say: Say) -> list[Check]:
    from gemsmith.runtime.selftest import check_runtime

    checks = []
    for each in bench.subjects:
        say(f"self-test: {candidate}, {each.name}")
        checks += check_runtime(candidate, each, bench.references[each.name])
    return checks


def _check_on_all_threads(candidate: Candidate, bench: Bench, say: Say) -> list[Check]:
    """The longest prompt's beginning once more, on as many threads as a model is served with.

    Not all of it: where something else keeps the processor busy, threads spend most of their time on each other.
    """
    from gemsmith.runtime.selftest import check_runtime

    longest = max(bench.subjects, key=lambda each: len(each.ids))
    say(f"self-test: {candidate}, {longest.name}, all threads")
    start = replace(longest, ids=longest.ids[:NUM_ON_ALL_THREADS])
    reference = bench.references[longest.name][: len(start.ids)]
    (check,) = check_runtime(candidate, start, reference, ["one shot"])
    return [replace(check, way="all threads")]


def _kernel_checks(candidate: Candidate, bench: Bench, say: Say) -> list[KernelCheck]:
    """One result for each kernel: the worst over all models."""
    from gemsmith.runtime.torch.kernels import KernelCheck, check_kernels

    found: dict[tuple[str, str], list[KernelCheck]] = {}
    for each in bench.subjects if candidate.backend == "torch" else []:
        say(f"self-test: kernels, {candidate}, {each.name}")
        options = {"dtype": candidate.dtype, "device": candidate.device}
        for check in check_kernels(each.text, each.tensors, each.ids, **options):
            found.setdefault((check.kernel, check.op), []).append(check)
    worst = [(max(checks, key=lambda check: check.error), checks) for checks in found.values()]
    return [KernelCheck(w.kernel, w.op, sum(c.num_calls for c in all), w.error, w.problem) for w, all in worst]


def _runtime_finding(
    candidate: Candidate, checks: list[Check], kernels: list[KernelCheck], sound: list[Candidate]
) -> Finding:
    name = str(candidate)
    wrong = [check for check in checks if not check.is_ok]
    if not wrong:
        worst = max(checks, key=lambda check: check.error)
        same = sum(check.agreement for check in checks) / len(checks)
        models = len({check.model for check in checks})
        agree = f", same best token {same:.0%}" if candidate.dtype != "float32" else ""
        text = f"{models} models, {len(checks)} ways: off by {part(worst.error)} at most, limit {part(worst.limit)}"
        return Finding("ok", name, f"{text}{agree}")
    worst = max(wrong, key=lambda check: (bool(check.problem), check.error))
    others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    how = worst.problem or f"off by {part(worst.error)} of the spread, the limit is {part(worst.limit)}"
    blame = f"; the kernel {kernels[0].kernel} does it, see below" if kernels else ""
    return Finding("wrong", name, f"{worst.model}, {worst.way}: {how}{others}{blame}", _way_round(kernels, sound))


def _kernel_finding(candidate: Candidate, check: KernelCheck, sound: list[Candidate]) -> Finding:
    from gemsmith.runtime.torch.kernels import KERNEL_LIMITS

    limit = KERNEL_LIMITS[candidate.dtype]
    name = f"kernel {check.kernel}"
    where = f"{check.op} on {candidate.device}, {candidate.dtype}"
    if not _is_kernel_ok(check, candidate):
        how = check.problem or f"off by {part(check.error)} of the spread, the limit is {part(limit)}"
        return Finding("wrong", name, f"{where}: {how}", _way_round([check], sound))
    if not check.num_calls:
        return Finding("ok", name, f"{where}: takes none of these calls")
    text = f"{where}: {check.num_calls} calls, off by {part(check.error)} at most, limit {part(limit)}"
    return Finding("ok", name, text)


def _is_kernel_ok(check: KernelCheck, candidate: Candidate) -> bool:
    from gemsmith.runtime.torch.kernels import KERNEL_LIMITS

    return not check.problem and check.error <= KERNEL_LIMITS[candidate.dtype]


def _way_round(kernels: list[KernelCheck], sound: list[Candidate]) -> str:
    """What to type until it is mended: a runtime that is sound, or the kernel switched off, or another torch."""
    if sound:
        best = REFERENCE if REFERENCE in sound else sound[0]
        return f"gemsmith run MODEL --device {best.device} --dtype {best.dtype}"
    if kernels:
        return f"with gemsmith.ops.without({kernels[0].kernel!r}): ...   (in Python)"
    return REINSTALL


def _embedded(say: Say) -> Iterator[Finding]:
    """The embedded models' tokenizers and weights, and a question they must know the answer to."""
    for name in available_names():
        say(f"self-test: asking {name}")
        try:
            yield from _asked(name)
        except GemsmithError as error:
            yield Finding("wrong", name, f"came with the package, but: {error}", OURS)


def _asked(name: str) -> Iterator[Finding]:
    from gemsmith.cli.doctor.weights import scan
    from gemsmith.engine import load
    from gemsmith.formats import open_checkpoint
    from gemsmith.tokenizer import load_tokenizer

    yield round_trip(f"{name} tokenizer", load_tokenizer(_folder(name)))
    found = scan(open_checkpoint(_folder(name)), lambda _: None)
    if found.not_finite or found.all_zero:
        yield Finding("wrong", name, "its weights hold NaN, infinity or empty matrices", OURS)
    with nullcontext() if kernels.available() else torch_on_one_thread():
        said = load(name).chat(QUESTION, temperature=0, max_tokens=16).text.strip()
    if said == ANSWER:
        yield Finding("ok", name, f"asked {QUESTION!r}, answers {said!r}")
    else:
        yield Finding("wrong", name, f"asked {QUESTION!r}, answers {said[:40]!r} instead of {ANSWER!r}", OURS)


def torch_on_one_thread() -> AbstractContextManager[None]:
    """So that a busy machine makes no difference to sums."""
    from gemsmith.runtime.torch.devices import one_thread

    return one_thread()


def _folder(name: str) -> Path:
    path = resolve(name).path
    assert path is not None, f"{name} is embedded"
    return path


def round_trip(subject: str, tokenizer: Any) -> Finding:
    """Text to ids and back, in many scripts; what spells a control token must not become one."""
    for text in TEXTS:
        ids = tokenizer.encode(text)
        if tokenizer.decode(ids) != text or tokenizer.control_ids & set(ids):
            return Finding("wrong", subject, f"{text!r} does not come back from its {len(ids)} tokens", OURS)
    return Finding("ok", subject, f"{len(TEXTS)} texts come back as they went in")
