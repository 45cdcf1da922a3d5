"""How many soft tokens prepared media have, and whether a prompt has a place for each.

H height   W width   F frames   n samples
"""

from __future__ import annotations

from collections.abc import Sequence

from gemsmith.chat.values import Prompt, Usage
from gemsmith.config import ModelConfig, UnifiedVisionConfig
from gemsmith.errors import RequestError, UnsupportedMediaError
from gemsmith.media.prepared import Pixels, Prepared, Waveform


def num_soft_tokens(media: Prepared, config: ModelConfig) -> int:
    """Soft tokens of one picture, clip or sound. RequestError where the model has no positions for so long a side."""
    if isinstance(media, Waveform):
        if config.audio is None:
            raise UnsupportedMediaError("a sound was given to a model that does not hear")
        return config.audio.num_soft_tokens(len(media.samples))
    vision = config.vision
    if vision is None:
        raise UnsupportedMediaError("a picture was given to a model that does not see")
    side = vision.patch_size * vision.pooling_kernel_size
    height, width = (length // side for length in media.rgb.shape[-3:-1])
    if isinstance(vision, UnifiedVisionConfig):
        most = vision.mm_posemb_size
    else:
        most = vision.position_embedding_size // vision.pooling_kernel_size
    if max(height, width) > most:
        raise RequestError(
            f"{width} x {height} soft tokens are longer than the {most} that this model can place along a side; give a"
            " smaller budget of tokens, or cut the picture"
        )
    return height * width * (1 if isinstance(media, Pixels) else len(media.rgb))


def check_places(ids: Sequence[int], media: Sequence[Prepared], config: ModelConfig) -> None:
    """RequestError unless the placeholder ids are just as many, kind for kind, as the media have soft tokens."""
    found, needed = counts(ids, config), dict.fromkeys(("image", "video", "audio"), 0)
    for each in media:
        kind = "image" if isinstance(each, Pixels) else "audio" if isinstance(each, Waveform) else "video"
        needed[kind] += num_soft_tokens(each, config)
    for kind, count in found.items():
        if count != needed[kind]:
            raise RequestError(
                f"the prompt has {count} {kind} placeholder ids but its media have {needed[kind]} {kind} tokens; take"
                " it as model.render makes it"
            )


def counts(ids: Sequence[int], config: ModelConfig) -> dict[str, int]:
    """Placeholder ids by kind; ids of a sense that the model lacks are ordinary."""
    ids = list(ids)
    sees, hears = config.vision is not None, config.audio is not None
    places = {"image": (config.image_token_id, sees), "video": (config.video_token_id, sees)}
    places["audio"] = (config.audio_token_id, hears)
    return {kind: ids.count(id) if id is not None and is_on else 0 for kind, (id, is_on) in places.items()}


def usage_of(prompt: Prompt, config: ModelConfig) -> Usage:
    """What a prompt costs, before anything is answered."""
    by_kind = {f"{kind}_tokens": count for kind, count in counts(prompt.ids, config).items()}
    return Usage(len(prompt.ids), 0, **by_kind) if prompt.media else Usage(len(prompt.ids), 0)


def picture_sizes(prompt: Prompt) -> tuple[tuple[int, int], ...] | None:
    """(width, height) of the prompt's pictures and pages, in order, as they were given; None if it has none."""
    return tuple(each.size for each in prompt.media if isinstance(each, Pixels)) or None
