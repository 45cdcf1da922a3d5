"""Fuzzing the readers of strangers' files: `python -m tests.hostile.fuzz KIND [--seconds N] [--atheris]`.

Files of the corpus are mutated and read; the reader may succeed or raise a GemsmithError, shortly and soon. Anything
else is a finding: its file is kept in the corpus, so that every later run of the tests reads it again. With `--atheris`
(pip install atheris) mutations are led by the branches they reach, otherwise they are blind and repeat from a seed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path
from random import Random

CORPUS = Path(__file__).parent / "corpus"
MAX_MESSAGE = 2500
MAX_SECONDS = 2.0  # of the processor, for files of some kilobytes
EDGES = [-1, 0, 1, 2, 7, 8, 127, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**40]
WORDS = [
    *(b"null", b"true", b"NaN", b"-0", b"1e999", b"[]", b"{}", b'""', b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf"),
    *(b"__metadata__", b"data_offsets", b"shape", b"dtype", b"weight_map", b"model", b"vocab", b"merges", b"../x"),
    *(b"sliding_attention", b"full_attention", b"num_hidden_layers", b"layer_types", b"\xe2\x96\x81", b"<bos>"),
    *(b'{"a":' * 50, b"[" * 200, b"," * 200, b" " * 200),
]


def seeds(kind: str) -> list[bytes]:
    """The corpus of one kind of file."""
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


def problem(kind: str, data: bytes, folder: Path) -> str | None:
    """What is wrong with how this file is read, if anything is."""
    from gemsmith.errors import GemsmithError
    from tests.hostile.readers import NAMES, READERS

    path = folder / NAMES[kind]
    path.write_bytes(data)
    began = time.process_time()
    try:
        READERS[kind](path)
    except GemsmithError as error:
        if len(str(error)) > MAX_MESSAGE or NAMES[kind] not in str(error):
            return f"a message of {len(str(error))} characters: {str(error)[:200]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    seconds = time.process_time() - began
    return f"took {seconds:.1f} s" if seconds > MAX_SECONDS else None


def mutated(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """`data` with one to four changes: bytes, words, numbers at an edge, pieces lost, doubled or from another file."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(out) + 1)
        end = min(len(out), at + random.choice([0, 1, 2, 4, 8, 32]))
        match random.randrange(7):
            case 0 if out:
                out[at % len(out)] ^= 1 << random.randrange(8)
            case 1:
                out[at:end] = random.choice(WORDS)
            case 2:
                out[at:end] = str(random.choice(EDGES)).encode()
            case 3:
                size = random.choice([1, 2, 4, 8])
                out[at:end] = (random.choice(EDGES) % (1 << 8 * size)).to_bytes(size, "little")
            case 4:
                del out[at:end]
            case 5:
                out[at:at] = out[at:end] * random.choice([1, 2, 50])
            case 6:
                other = random.choice(others)
                begin = random.randrange(len(other) + 1)
                out[at:end] = other[begin : begin + random.choice([8, 64, 512])]
    return bytes(out[: 1 << 16])


def blind(kind: str, seconds: float, seed: int) -> tuple[int, list[str]]:
    """Mutate for some seconds; how many files were read, and what was found."""
    random, corpus = Random(f"{kind} {seed}"), seeds(kind)
    end, count, found = time.monotonic() + seconds, 0, []
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            data = mutated(random.choice(corpus), random, corpus)
            count += 1
            if what := problem(kind, data, Path(folder)):
                found.append(f"{keep(kind, data)}: {what}")
    return count, found


def led(kind: str, seconds: float) -> None:
    """Let atheris mutate; it ends the process, with a traceback where something was found."""
    import atheris

    folder = Path(tempfile.mkdtemp())
    with atheris.instrument_imports(include=["gemsmith"]):
        import tests.hostile.readers  # noqa: F401

    def one(data: bytes) -> None:
        if what := problem(kind, data, folder):
            raise AssertionError(f"{keep(kind, data)}: {what}")

    options = [f"-max_total_time={int(seconds)}", "-max_len=65536", f"-artifact_prefix={folder}/", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(_copy(kind, folder))], one)
    atheris.Fuzz()


def _copy(kind: str, folder: Path) -> Path:
    """A corpus folder that atheris may add to."""
    target = folder / "corpus"
    target.mkdir()
    for number, data in enumerate(seeds(kind)):
        (target / str(number)).write_bytes(data)
    return target


def keep(kind: str, data: bytes) -> Path:
    """Write a finding into the corpus."""
    path = CORPUS / kind / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(path.name for path in CORPUS.iterdir()))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    args = parser.parse_args()
    if args.atheris:
        led(args.kind, args.seconds)
    count, found = blind(args.kind, args.seconds, args.seed)
    print(f"{count} files read, {len(found)} findings", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
