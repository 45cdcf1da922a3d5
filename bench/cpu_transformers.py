"""How fast `transformers` reads and writes with a checkpoint, in this process: one JSON object on stdout.

    python bench/cpu_transformers.py CHECKPOINT --prompt 512 --generate 8 --threads 2

In bfloat16, with `generate`, as its users do. A prompt's time is that of one with a single token asked for; of written
tokens, the time of many less the time of one. For `cpu_peers.py`, which starts a process for each figure.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from gemsmith.runtime.probe import peak_memory

FIRST_PLAIN_ID = 256  # smaller ids control


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    model: Any = AutoModelForImageTextToText.from_pretrained(options.checkpoint, dtype=torch.bfloat16).eval()
    load_s = time.perf_counter() - start
    generator = torch.Generator().manual_seed(0)
    length = options.depth + max(options.prompt, 1)
    ids = torch.randint(FIRST_PLAIN_ID, model.config.text_config.vocab_size // 2, (1, length), generator=generator)
    seconds(model, ids[:, :8], 2)  # warm
    first_s = seconds(model, ids, 1)
    facts: dict[str, Any] = {"load_s": load_s, "versions": {name: version(name) for name in ("transformers", "torch")}}
    if options.prompt:
        facts["prompt_tokens_per_s"] = options.prompt / first_s
    if options.generate:
        facts["generation_tokens_per_s"] = options.generate / (seconds(model, ids, 1 + options.generate) - first_s)
    print(json.dumps(facts | {"peak_rss_bytes": peak_memory()}))
    return 0


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="time transformers on a processor")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


def seconds(model: Any, ids: torch.Tensor, count: int) -> float:
    """How long `count` tokens after `ids` take, the prompt included; nothing ends them early."""
    start = time.perf_counter()
    with torch.inference_mode():
        mask = torch.ones_like(ids)
        model.generate(ids, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
