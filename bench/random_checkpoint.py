"""Full-size Gemma 4 checkpoints of random weights, to measure engines with where the real ones are not at hand.

    python bench/random_checkpoint.py e2b e2b-q4_0.gguf                      # 2.8 GB, for gemsmith and llama.cpp
    python bench/random_checkpoint.py e2b e2b --format safetensors           # a folder, for gemsmith and transformers
    python bench/random_checkpoint.py e2b x.gguf --vocabulary gemma.gguf     # with the tokens and merges of that file

Shapes, names, types and metadata are those of the released text model; the senses are left out. Nothing is quantised:
codes are drawn directly, spread as a quantiser leaves them, with scales that keep activations near 1 in every layer and
give logits a spread of about 3, so that engines meet no infinities and no constant answers. The same seed gives the
same file. Tensors are drawn and written block by block: memory stays below some hundred megabytes.

Types in a Q4_0 file. llama.cpp's quantiser (src/llama-quant.cpp: llama_tensor_get_type) leaves vectors and the router
as they are (F32), `per_layer_model_proj` as it is (BF16), gives rows that are no whole blocks F16, and gives the
embedding and the per-layer embedding Q6_K, since the embedding is the output head too: so do `--embedding-type q6_k
--per-layer-type q6_k`. gemsmith multiplies by the head in 8 bits then; so that both engines read as many bytes for a
token, the embedding is Q8_0 here unless one says otherwise, what llama.cpp falls back to where Q6_K does not fit, and
--embedding-type q4_0 gives the file that `llama-quantize --pure` would. Of the per-layer embedding a token reads one
row, so that its type moves neither speed nor resident memory, only the disk: it follows --type.
Needs the development extra (`gguf`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from bench.gguf_writing import EMBEDDING, PER_LAYER_EMBEDDING, add_config, add_vocabulary, gguf_name, stored_type
from bench.random_tensors import chunks, nbytes
from gemsmith.config import ModelConfig, TextConfig, preset, preset_names
from gemsmith.config.tensors import dead_tensors, text_tensors
from gemsmith.formats import TensorStream, save_checkpoint
from gemsmith.tokenizer import gguf_vocabulary, json_vocabulary
from gemsmith.tokenizer.gguf import read_metadata
from gemsmith.tokenizer.vocabulary import Vocabulary

FILE_TYPES = {"q4_0": 2, "q6_k": 18, "q8_0": 7, "bf16": 32, "f16": 1, "f32": 0}  # llama.cpp's `enum llama_ftype`
KINDS = tuple(FILE_TYPES)
GB = 1e9
CONTROL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 46: "<|tool>", 47: "<tool|>", 107: "\n"} | {
    48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>", 51: "<tool_response|>", 52: '<|"|>',
    98: "<|think|>", 100: "<|channel>", 101: "<channel|>", 105: "<|turn>", 106: "<turn|>",
}  # fmt: skip
MEDIA = {"boi": "<|image>", "eoi": "<image|>", "image": "<|image|>", "video": "<|video|>"} | {
    "boa": "<|audio>", "eoa": "<audio|>", "audio": "<|audio|>",
}  # fmt: skip
FIRST_BYTE = 238
LETTERS = "▁abcdefghijklmnopqrstuvwxyz"


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    config = preset(options.size)
    if options.vocabulary:
        vocabulary = gguf_vocabulary.read(options.vocabulary)
        template = read_metadata(options.vocabulary).get("tokenizer.chat_template")
    else:
        vocabulary, template = synthetic_vocabulary(config), None
    if len(vocabulary.tokens) > config.text.vocab_size:
        print(f"{options.vocabulary} has more tokens than {options.size} has rows for them", file=sys.stderr)
        return 2
    write = write_gguf if options.format == "gguf" else write_safetensors
    began = time.perf_counter()
    write(options, config, vocabulary, template)
    print(f"{options.out} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return 0


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=preset_names(), metavar="SIZE", help="e2b, e4b, 12b, 26b-a4b, 31b, …")
    parser.add_argument("out", type=Path, metavar="OUT", help="a .gguf file, or a folder for safetensors")
    parser.add_argument("--format", choices=("gguf", "safetensors"), default="gguf")
    parser.add_argument("--type", choices=KINDS, help="of matrices (q4_0; bf16 for safetensors)")
    parser.add_argument("--embedding-type", choices=KINDS, help="of the embedding and head (q8_0 in a q4_0 file)")
    parser.add_argument("--per-layer-type", choices=KINDS, help="of the per-layer embedding (as --type)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vocabulary", type=Path, metavar="FILE.gguf", help="tokens to use instead of invented ones")
    options = parser.parse_args(argv)
    options.type = options.type or ("q4_0" if options.format == "gguf" else "bf16")
    options.embedding_type = options.embedding_type or ("q8_0" if options.type == "q4_0" else options.type)
    options.per_layer_type = options.per_layer_type or options.type
    if options.format == "safetensors" and {"q4_0", "q6_k", "q8_0"} & {options.type, options.embedding_type}:
        parser.error("safetensors hold floats; --type bf16, f16 or f32")
    return options


def write_gguf(options: argparse.Namespace, config: ModelConfig, vocabulary: Vocabulary, template: str | None) -> None:
    """One file, which takes its name when it is whole."""
    text = config.text
    kinds = {EMBEDDING: options.embedding_type, PER_LAYER_EMBEDDING: options.per_layer_type}
    tensors = {}
    for released, shape in (text_tensors(text) | dead_tensors(text)).items():  # released files ship dead K/V too
        name = gguf_name(released, text.num_hidden_layers)
        kind = stored_type(name, shape, kinds.get(name, options.type).upper()).name
        tensors[name] = (released, shape, kind)
    need_space(options.out.parent, sum(nbytes(shape, kind) for _, shape, kind in tensors.values()))
    part = options.out.with_name(f".{options.out.name}.part")
    writer = gguf.GGUFWriter(part, "gemma4")
    writer.add_name(f"{options.size} of random weights, seed {options.seed}")
    writer.add_file_type(FILE_TYPES[options.type])
    add_config(writer, text)
    if config.is_unified:
        writer.add_array("tokenizer.ggml.suppress_tokens", [config.eoa_token_id, config.eoi_token_id])
    add_vocabulary(writer, vocabulary, template)
    freqs = rope_freqs(text)
    writer.add_tensor_info("rope_freqs.weight", freqs.shape, freqs.dtype, freqs.nbytes)
    for name, (_, shape, kind) in tensors.items():
        as_type = gguf.GGMLQuantizationType[kind]
        writer.add_tensor_info(name, shape, np.dtype(np.float32), nbytes(shape, kind), raw_dtype=as_type)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        file = writer.fout[0]
        padded(file, [freqs.tobytes()])
        progress = Progress(sum(nbytes(shape, kind) for _, shape, kind in tensors.values()))
        for released, shape, kind in tensors.values():
            padded(file, progress.over(chunks(released, shape, kind, text, options.seed)))
        padded(file, [])
        file.flush()
        os.fsync(file.fileno())
        writer.close()
        os.replace(part, options.out)
    finally:
        writer.close()
        part.unlink(missing_ok=True)


def padded(file: object, buffers: Iterator[bytes] | list[bytes]) -> None:
    """Zeros up to where a tensor may begin, and its bytes."""
    file.write(bytes(-file.tell() % gguf.GGUF_DEFAULT_ALIGNMENT))  # type: ignore[attr-defined]
    for buffer in buffers:
        file.write(buffer)  # type: ignore[attr-defined]


def write_safetensors(
    options: argparse.Namespace, config: ModelConfig, vocabulary: Vocabulary, template: str | None
) -> None:
    """A folder of the text model alone, as `Gemma4ForCausalLM` expects it."""
    text = config.text
    shapes, kind = text_tensors(text), options.type.upper()
    total = sum(nbytes(shape, kind) for shape in shapes.values())
    need_space(options.out.parent, total)
    progress = Progress(total)
    streams = {
        name: TensorStream(shape, kind, progress.over(chunks(name, shape, kind, text, options.seed)))
        for name, shape in shapes.items()
    }
    save_checkpoint(
        options.out,
        ModelConfig(text=text, model_type=text.model_type),
        streams,
        tokenizer_json=json.dumps(json_vocabulary.write(vocabulary), ensure_ascii=False),
        generation_config={
            "do_sample": True,
            "temperature": 1.0,
            "top_k": 64,
            "top_p": 0.95,
            "eos_token_id": [1, 106, 50],
        },
        chat_template=template,
    )


def rope_freqs(text: TextConfig) -> np.ndarray:
    """Which pairs of a full layer's heads turn, as llama.cpp wants to be told."""
    turned, pairs = (
        next(layer.num_rotated_pairs for layer in text.layers if not layer.is_sliding),
        text.global_head_dim // 2,
    )
    return np.array([1.0] * turned + [1e30] * (pairs - turned), np.float32)


def synthetic_vocabulary(config: ModelConfig) -> Vocabulary:
    """Control tokens and bytes at Gemma's ids, and words of one to four letters, each with the merge that makes it."""
    size = config.text.vocab_size
    media = {getattr(config, f"{name}_token_id"): text for name, text in MEDIA.items()}
    fixed = {**CONTROL, **{FIRST_BYTE + byte: f"<0x{byte:02X}>" for byte in range(256)}, **media}
    words, merges, tokens = made_words(), [], []
    for id in range(size):
        if id in fixed or id < FIRST_BYTE:
            tokens.append(fixed.get(id, f"<unused{id}>"))
            continue
        word = next(words)
        tokens.append(word)
        if len(word) > 1:
            merges.append(f"{word[:-1]} {word[-1]}")
    control = frozenset(id for id, text in {**CONTROL, **media}.items() if text != "\n" and id < size)
    return Vocabulary("synthetic", tokens, merges, control, {}, {})


def made_words() -> Iterator[str]:
    """All words of one letter, then all of two, …: each after the word that it continues."""
    yield from LETTERS
    before: list[str] = list(LETTERS)
    while True:
        before = [word + letter for word in before for letter in LETTERS]
        yield from before


def need_space(folder: Path, total: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < total * 1.02:
        raise SystemExit(f"the checkpoint takes {total / GB:.1f} GB, and {folder} has {free / GB:.1f} GB free")


class Progress:
    """How far the writing is: a line that changes on a terminal, one for every tenth elsewhere."""

    def __init__(self, total: int):
        self.total, self.done, self.told = total, 0, -1
        self.steps, self.end = (1000, "\r") if sys.stderr.isatty() else (10, "\n")

    def over(self, buffers: Iterator[bytes]) -> Iterator[bytes]:
        for buffer in buffers:
            yield buffer
            self.done += len(buffer)
            step = self.done * self.steps // self.total
            if step != self.told:
                self.told = step
                print(f"{self.done / GB:.2f} of {self.total / GB:.2f} GB", end=self.end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
