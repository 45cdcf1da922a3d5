"""Media that a model has no sense for: refused by name, before anything is opened. Media are never ignored."""

from __future__ import annotations

from collections.abc import Sequence

from gemsmith.chat.values import Audio, Media
from gemsmith.config import ModelConfig
from gemsmith.engine.senses.names import blaming, named
from gemsmith.errors import MediaError, ModelFileError, UnsupportedMediaError
from gemsmith.media.settings import MediaSettings
from gemsmith.tokenizer import Tokenizer

SEEN = (("<|image>", "boi_token_id"), ("<|image|>", "image_token_id"), ("<image|>", "eoi_token_id"))
FRAMES = (("<|video|>", "video_token_id"),)
HEARD = (("<|audio>", "boa_token_id"), ("<|audio|>", "audio_token_id"), ("<audio|>", "eoa_token_id"))


def check_senses(media: Sequence[Media], model: str, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """UnsupportedMediaError for the first item that the model can neither see nor hear."""
    for name, part in named(media):
        is_heard = isinstance(part, Audio)
        if (config.audio if is_heard else config.vision) is None:
            can = [word for word, sense in (("sees", config.vision), ("hears", config.audio)) if sense]
            able = f"it {can[0]} but does not {'hear' if is_heard else 'see'}" if can else "it reads text alone"
            with blaming(name, part):
                raise UnsupportedMediaError(
                    f"{model} cannot take {type(part).__name__.lower()} parts: {able}; remove it"
                )
        _check_vocabulary(HEARD if is_heard else (*SEEN, *FRAMES), config, tokenizer)
        if not is_heard and getattr(part, "sound", False) and config.audio is not None:
            _check_vocabulary(HEARD, config, tokenizer)


def check_count(count: int, settings: MediaSettings) -> None:
    """MediaError for more items than one request may have."""
    if count > settings.max_items:
        raise MediaError(
            "media_too_large",
            f"the request holds {count} pictures, pages, clips and sounds, more than the {settings.max_items} allowed"
            " in one (MediaSettings.max_items)",
        )


def _check_vocabulary(tokens: Sequence[tuple[str, str]], config: ModelConfig, tokenizer: Tokenizer) -> None:
    """The tokenizer and config.json must mean the same ids, or soft tokens would go nowhere."""
    for text, name in tokens:
        found, wanted = tokenizer.control.get(text), getattr(config, name)
        if found is None or found != wanted:
            raise ModelFileError(
                f"config.json says that {name} is {wanted}, but in the tokenizer {text} is {found}; the files belong to"
                " different models, and media cannot be given to this one"
            )
