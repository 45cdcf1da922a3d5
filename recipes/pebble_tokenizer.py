"""Train a vocabulary of 4,096 entries for pebble.

    python recipes/pebble_tokenizer.py --output FOLDER

Structured like Gemma's: spaces are `▁`, text is merged from characters, unknown characters become bytes, digits stand
alone, and the text control tokens, the newline and the bytes have Gemma's own ids. Merges never cross words, nor join a
digit or an arithmetic sign to its neighbour (except `▁+` and its like), so a number is the same tokens wherever it
stands. Learnt from the curriculum and, for ordinary English, from the docstrings of Python's standard library.

The file in the package was made once, before pebble was trained, and its weights depend on it: run this again after the
curriculum or Python (3.11 then) has changed, and some rare merges differ. So a new file needs a new pebble.

Needs `tokenizers`, which the package itself does not.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from gemsmith.chat.render import render
from gemsmith.data import words
from gemsmith.data.curriculum import stream
from gemsmith.tokenizer.control import CONTROL_TEXTS
from gemsmith.tokenizer.json_vocabulary import write
from gemsmith.tokenizer.vocabulary import Vocabulary

VOCAB_SIZE = 4096
GEMMA_IDS = {  # as in google/gemma-4-E2B-it
    "<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4,
    "<|tool>": 46, "<tool|>": 47, "<|tool_call>": 48, "<tool_call|>": 49, "<|tool_response>": 50,
    "<tool_response|>": 51, '<|"|>': 52,
    "<|think|>": 98, "<|channel>": 100, "<channel|>": 101, "<|turn>": 105, "<turn|>": 106,
    "\n": 107, "\n\n": 108, "▁▁": 138, "▁▁▁▁": 140,
    **{f"<0x{byte:02X}>": 238 + byte for byte in range(256)},
}  # fmt: skip
MEDIA_TOKENS = ("<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>", "<|video|>")  # the last ids
PRINTABLE = [chr(code) for code in range(33, 127)] + list("▁\n\táàâäåæçéèêëíïñóôöøúûüß°€£–—‘’“”…→×÷·")
WORD = r"▁?\p{L}+|\p{N}|▁?[-+=*/<>]|▁?[^\p{L}\p{N}▁\n\t\-+=*/<>]+|▁+|\n+|\t"
POOLS = (words.THINGS, words.COLOURS, words.NAMES, words.CITIES)
NUM_EXAMPLES, POOL_REPEATS, ENGLISH_CHARACTERS = 40_000, 400, 1_200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder; gemsmith/hub/pebble for a new pebble")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = arrange(*train())
    text = json.dumps(write(vocabulary), ensure_ascii=False, indent=1)
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    print(f"{folder / 'tokenizer.json'}: {len(vocabulary.tokens)} tokens, {len(vocabulary.merges)} merges")


def train() -> tuple[list[str], list[tuple[str, str]]]:
    """(characters, merges): what byte-pair encoding learns from the texts, as many merges as there is room for."""
    num_fixed = len(GEMMA_IDS) + len(MEDIA_TOKENS)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE, initial_alphabet=PRINTABLE, limit_alphabet=len(PRINTABLE), show_progress=False
    )
    tokenizer.train_from_iterator([*curriculum_texts(), *pool_texts(), *english_texts()], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    room = VOCAB_SIZE - num_fixed - sum(character not in GEMMA_IDS for character in PRINTABLE)
    return PRINTABLE, fitting([tuple(merge) for merge in model["merges"]], room)


def fitting(merges: list[tuple[str, str]], room: int) -> list[tuple[str, str]]:
    """The first merges whose new tokens fit; those that make one of Gemma's own (`\\n\\n`) take no room."""
    first = [("\n", "\n"), ("▁", "▁"), ("▁▁", "▁▁")]
    chosen = list(first)
    for merge in merges:
        if room == 0:
            break
        if merge not in first and not re.fullmatch("▁+|\n+", "".join(merge)):
            chosen.append(merge)
            room -= 1
    assert room == 0, f"{room} rows without a token: train on more text"
    return chosen


def arrange(characters: list[str], merges: list[tuple[str, str]]) -> Vocabulary:
    """Gemma's tokens at Gemma's ids, media at the end, and characters and merges in what is free, in their order."""
    ids = GEMMA_IDS | {text: VOCAB_SIZE - len(MEDIA_TOKENS) + i for i, text in enumerate(MEDIA_TOKENS)}
    learnt = [text for text in [*characters, *map("".join, merges)] if text not in ids]
    free = sorted(set(range(VOCAB_SIZE)) - set(ids.values()))
    ids |= dict(zip(free and learnt, free, strict=True))
    return Vocabulary(
        source="pebble",
        tokens=sorted(ids, key=ids.__getitem__),
        merges=[" ".join(merge) for merge in merges],
        special=frozenset(id for text, id in ids.items() if text in CONTROL_TEXTS),
        whole={},
        whole_normalized={},
    )


class NoTokenizer:
    """Enough of a tokenizer to render a conversation as text."""

    control = dict.fromkeys(CONTROL_TEXTS, 0)

    def encode(self, text: str) -> list[int]:
        return []

    def control_id(self, name: str) -> int:
        return 0


def curriculum_texts() -> Iterator[str]:
    """What stands between control tokens in rendered examples."""
    control = re.compile("|".join(map(re.escape, sorted(CONTROL_TEXTS, key=len, reverse=True))))
    for example in islice(stream(0), NUM_EXAMPLES):
        options = {"tools": example.tools, "think": example.think, "add_generation_prompt": False}
        yield from control.split(render(example.messages, tokenizer=NoTokenizer(), **options).text)


def pool_texts() -> Iterator[str]:
    """The words that lists and requests are made of, often enough that each is one token, after a space or not."""
    for pool in POOLS:
        yield from [f"{word} {word}" for word in pool] * POOL_REPEATS


def english_texts() -> Iterator[str]:
    """Docstrings of the standard library, in the order of the modules' names."""
    left = ENGLISH_CHARACTERS
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                yield text
                left -= len(text)
        if left <= 0:
            return


if __name__ == "__main__":
    main()
