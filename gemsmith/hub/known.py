"""The names people know Gemma 4 by, and what each asks of the Hugging Face Hub. Pure: looks at nothing but the name.

e2b, 26b, e4b-base               sizes: instruction-tuned, or base
google/gemma-4-E2B-it@REVISION   a repository, with or without a revision
ggml-org/gemma-4-E2B-it-GGUF:Q8_0     a repository of GGUF files, and which of them
gemma4:e2b, gemma4:26b-it-q8_0        Ollama's tags
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from gemsmith.errors import ModelNotFoundError

SIZES = {"e2b": "E2B", "e4b": "E4B", "12b": "12B", "26b-a4b": "26B-A4B", "26b": "26B-A4B", "31b": "31B"}
OLLAMA = "gemma4"
OLLAMA_LATEST = "e4b"  # what `ollama run gemma4` means
UNQUANTISED = ("bf16", "fp16", "f16")
FILES = (".safetensors", ".gguf", ".json")  # the ending of a path, not of a repository
HOSTS = ("https://huggingface.co/", "http://huggingface.co/", "huggingface.co/", "hf.co/", "hf://")

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"  # the Hub's own rule, "--" and ".." apart
_REPO = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[\w./-]{{1,200}}))?(?::(?P<quant>[\w.-]{{1,60}}))?")
# what a GGUF file is called that has types which `formats.gguf` does not read: Q4_K_M, UD-Q3_K_XL, IQ4_NL, MXFP4, …
_UNREAD = re.compile(r"(?<![a-z0-9])(?:q[1-5]_k|q8_[1k]|q[45]_1|q5_0|iq\d|tq\d|mxfp\d)", re.IGNORECASE)
_QUANT = re.compile(r"(?:ud-)?(?:i?q\d\w*|[bf]p?\d\d|mxfp\d\w*)", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """A repository of the Hub; `quant` says which of its GGUF files, None means its safetensors."""

    repo: str
    revision: str | None = None
    quant: str | None = None

    def __str__(self) -> str:
        return self.repo + (f"@{self.revision}" if self.revision else "") + (f":{self.quant}" if self.quant else "")


def wanted(name: str) -> Wanted | None:
    """What `name` asks of the Hub; None where it is neither a name we know nor a repository's.

    Raises ModelNotFoundError for a tag of Ollama's that has no counterpart here.
    """
    if (repo := short_names().get(name.lower())) is not None:
        return Wanted(repo)
    family, _, tag = name.lower().partition(":")
    if family == OLLAMA:
        return _ollama(name, tag)
    for host in HOSTS:
        name = name.removeprefix(host)
    found = _REPO.fullmatch(name.replace("/tree/", "@", 1))
    if found is None or name.endswith(FILES) or ".." in name or "--" in found["repo"]:
        return None
    google = {repo.lower(): repo for repo in short_names().values()}  # as they are spelled on the Hub
    return Wanted(google.get(found["repo"].lower(), found["repo"]), found["revision"], found["quant"])


def is_read(quant: str) -> bool:
    """Whether a GGUF file of this quantisation can be of use here, as far as its name tells."""
    return _UNREAD.search(quant) is None


def short_names() -> dict[str, str]:
    """Every short name, and the repository it means: a size alone is the instruction-tuned model."""
    names = {}
    for short, size in SIZES.items():
        names[short] = names[f"{short}-it"] = f"google/gemma-4-{size}-it"
        names[f"{short}-base"] = f"google/gemma-4-{size}"
    return names


def preset_of(repo: str) -> str | None:
    """The name of the config that a repository of Google's has."""
    sizes = {f"google/gemma-4-{size}{end}".lower(): short for short, size in SIZES.items() for end in ("", "-it")}
    short = sizes.get(repo.lower())
    return "26b-a4b" if short == "26b" else short


def did_you_mean(name: str, also: Iterable[str] = ()) -> str:
    """ "; did you mean …?" where a known name is close to `name`, else nothing; nothing too for a known name itself."""
    known = {each.lower(): each for each in (*short_names(), *set(short_names().values()), *also)}
    close = [] if name.lower() in known else get_close_matches(name.lower()[:200], known, n=1, cutoff=0.6)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def _ollama(name: str, tag: str) -> Wanted:
    """`size[-it][-quantisation]`, as Ollama's library has them."""
    tag = OLLAMA_LATEST if tag in ("", "latest") else tag
    short = next((s for s in sorted(SIZES, key=len, reverse=True) if tag == s or tag.startswith(f"{s}-")), None)
    if short is None:
        known = ", ".join(f"{OLLAMA}:{size}" for size in SIZES)
        raise ModelNotFoundError(f"no model {name[:80]!r}{_close_tag(tag)}; there are {known}")
    quant = tag.removeprefix(short).lstrip("-").removeprefix("it").lstrip("-")
    size = SIZES[short]
    if quant in ("", *UNQUANTISED):
        return Wanted(f"google/gemma-4-{size}-it")
    if quant in ("qat", "q4_0", "qat-q4_0"):
        return Wanted(f"google/gemma-4-{size}-it-qat-q4_0-gguf", quant="Q4_0")
    if _QUANT.fullmatch(quant) and not quant.startswith("mxfp"):
        return Wanted(f"ggml-org/gemma-4-{size}-it-GGUF", quant=quant.upper())
    raise ModelNotFoundError(
        f"{name[:80]!r} asks for weights in a form ({quant[:40]!r}) that gemsmith cannot read yet; for the same model"
        f" unquantised: {OLLAMA}:{short}"
    )


def _close_tag(tag: str) -> str:
    close = get_close_matches(tag[:80], SIZES, n=1, cutoff=0.5)
    return f"; did you mean '{OLLAMA}:{close[0]}'?" if close else ""
