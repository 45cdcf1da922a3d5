"""What a model needs of memory, and whether the machine has it: asked before anything is allocated.

`need` is a function of the config alone. Weights and K/V are exact, to the byte what the torch runtime allocates; work
and `MARGIN` are stated allowances. `admitted_context` compares the sum with the memory at hand. A text config alone
stands for a model without senses. The native engine's needs are in `packed_plan`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from gemsmith.config import AudioConfig, ModelConfig, TextConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.config.cost import kv_bytes
from gemsmith.config.media import MEL_HOP, NUM_MEL_BINS
from gemsmith.config.tensors import media_tensors, text_tensors
from gemsmith.errors import GemsmithError
from gemsmith.formats.tensor import TensorView
from gemsmith.media.prepared import SAMPLE_RATE
from gemsmith.runtime import probe

DTYPES = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}  # name in files, bytes of a number
GROWTH = 256  # tokens by which the caches grow
LEAST_CONTEXT = 4096  # tokens: what must fit where no context was asked for; less makes no conversation
WORK = 16  # bytes a token of context and row of a forward pass: masks and scores
ROWS = 512  # that one forward pass takes of a prompt
LARGEST_PICTURE = 1120  # soft tokens; where pictures look both ways, one forward pass takes a picture whole
LONGEST_SOUND = 30  # seconds that are heard at once
MARGIN = 256 << 20  # bytes: torch itself, and what other programs take meanwhile
TABLE = "embed_tokens_per_layer.weight"


@dataclass(frozen=True)
class Need:
    """Bytes of memory, by purpose."""

    weights: int
    kv: int
    work: int
    margin: int = MARGIN

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.work + self.margin


def num_weights(config: ModelConfig | TextConfig, *, mapped: bool = False) -> int:
    """Numbers in the text decoder and the senses.

    `mapped` weights are pages of their file. All but the per-layer embedding table are read for every token; of that
    one a token reads a row, so it can stay on the disk and is not counted.
    """
    whole = ModelConfig.of(config)
    shapes = text_tensors(whole.text) | media_tensors(whole)
    return sum(math.prod(shape) for name, shape in shapes.items() if not (mapped and name.endswith(TABLE)))


def need(config: ModelConfig | TextConfig, dtype: str, context: int, *, mapped: bool = False) -> Need:
    """What the model and one sequence of `context` tokens take. Encoding media and reading them do not overlap."""
    size, text = DTYPES[dtype][1], ModelConfig.of(config).text
    kv = kv_bytes(text, context, bytes_per_value=size, growth=GROWTH)
    reading = WORK * context * (LARGEST_PICTURE if _sees_both_ways(config) else ROWS)
    return Need(num_weights(config, mapped=mapped) * size, kv, max(reading, senses_work(config, size)))


def senses_work(config: ModelConfig | TextConfig, size: int) -> int:
    """Bytes that encoding the largest picture or the longest sound takes, with numbers of `size` bytes.

    Attention is fused, so that the patches' scores (10,080² of them a head) never stand in memory. What does are one
    layer's vectors, of which the wide ones of its MLP are the most. Measured with E2B's tower on a processor: 0.80 GB
    in float32 where this says 0.84, and 0.44 where it says 0.46 in bfloat16; for 30 s of sound 0.19 and 0.20.
    """
    whole, nbytes = ModelConfig.of(config), [0]
    vision, audio = whole.vision, whole.audio
    if isinstance(vision, VisionConfig):
        numbers = size * (4 * vision.intermediate_size + 8 * vision.hidden_size) + _pixel_bytes(vision.patch_size)
        nbytes.append(LARGEST_PICTURE * vision.pooling_kernel_size**2 * numbers)
    elif isinstance(vision, UnifiedVisionConfig):
        nbytes.append(LARGEST_PICTURE * (size * 4 * vision.mm_embed_dim + _pixel_bytes(vision.model_patch_size)))
    if isinstance(audio, AudioConfig):  # the first convolution halves frames and bins
        frames = LONGEST_SOUND * SAMPLE_RATE // MEL_HOP
        nbytes.append(4 * size * (frames // 2) * (NUM_MEL_BINS // 2) * audio.subsampling_conv_channels[0])
    return max(nbytes)


def largest_context(config: ModelConfig | TextConfig, dtype: str, memory: int, *, mapped: bool = False) -> int:
    """The most tokens of context that fit into `memory` bytes, by steps in which caches grow; 0 if none do."""
    low, high = 0, ModelConfig.of(config).text.max_position_embeddings // GROWTH + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = need(config, dtype, middle * GROWTH, mapped=mapped).total <= memory
        low, high = (middle, high) if fits else (low, middle)
    return low * GROWTH


def admitted_context(
    name: str,
    config: ModelConfig | TextConfig,
    tensors: Mapping[str, TensorView] | None,
    *,
    asked: int | None,
    dtype: str | None = None,
    device: str | None = None,
) -> int:
    """The context to serve: what was asked for, else all the model has, else what fits, with a warning.

    GemsmithError, with numbers and what to try, where the memory at hand is too small even for the least of these.
    """
    most = ModelConfig.of(config).text.max_position_embeddings
    try:
        _, number, memory, mapped = chosen_place(config, tensors, dtype=dtype, device=device)
    except ModuleNotFoundError:  # `open_runtime` says what to install
        return asked or most
    if need(config, number, asked or most, mapped=mapped).total <= memory:
        return asked or most
    fitting = largest_context(config, number, memory, mapped=mapped)
    if asked is None and fitting >= min(LEAST_CONTEXT, most):
        return less(name, memory, fitting, most)
    raise GemsmithError(_refusal(name, config, number, asked or min(LEAST_CONTEXT, most), memory, fitting, mapped))


def chosen_place(
    config: ModelConfig | TextConfig,
    tensors: Mapping[str, TensorView] | None,
    *,
    dtype: str | None = None,
    device: str | None = None,
) -> tuple[str, str, int, bool]:
    """Where torch would compute: device, number type, bytes of memory free there, and whether weights stay mapped."""
    from gemsmith.runtime.torch.weights import choose_device, choose_dtype, free_memory

    text, target = ModelConfig.of(config).text, choose_device(device)
    number = str(choose_dtype(dtype, target, num_weights(text), text)).removeprefix("torch.")
    memory = probe.available_memory() if target.type == "cpu" else free_memory(target)
    table = (tensors or {}).get(f"model.language_model.{TABLE}")
    return str(target), number, memory, table is not None and target.type == "cpu" and table.dtype == DTYPES[number][0]


def less(name: str, memory: int, fitting: int, most: int) -> int:
    """The context that fits, told to whoever loads the model."""
    warnings.warn(
        f"{name}: {gigabytes(memory)} of free memory hold {fitting:,} tokens of context, not the {most:,} of the model;"
        " free some memory for more",
        stacklevel=4,
    )
    return fitting


def _refusal(
    name: str,
    config: ModelConfig | TextConfig,
    dtype: str,
    context: int,
    memory: int,
    fitting: int,
    mapped: bool,
) -> str:
    found = need(config, dtype, context, mapped=mapped)
    ways = [f"--max-context {fitting} (max_context={fitting})"] if fitting else []
    if dtype == "float32" and need(config, "bfloat16", context).total <= memory:
        ways.append("--dtype bfloat16 (dtype='bfloat16')")
    if found.weights > MARGIN:  # no stand-in, and large enough that bits matter
        ways.append("fewer bits (gemsmith quantize MODEL)")
    return (
        f"{name} in {dtype} with {context:,} tokens of context needs {gigabytes(found.total)} of memory: weights"
        f" {gigabytes(found.weights)}, keys and values {gigabytes(found.kv)}, work {gigabytes(found.work)}, margin"
        f" {gigabytes(found.margin)}. Free are {gigabytes(memory)}. Try {', '.join([*ways, 'a smaller model'])}, or"
        " close other programs"
    )


def _sees_both_ways(config: ModelConfig | TextConfig) -> bool:
    whole = ModelConfig.of(config)
    return whole.vision is not None and whole.text.use_bidirectional_attention == "vision"


def _pixel_bytes(side: int) -> int:
    """A square of pixels as it came, cut out, and made ready: float32."""
    return 3 * 4 * 3 * side**2


def gigabytes(count: int) -> str:
    """Bytes as a sentence has them."""
    return f"{count / 1e9:.2f} GB"
