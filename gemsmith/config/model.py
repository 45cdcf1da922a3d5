"""A whole model as data: `config.json` of a checkpoint, read and written.

Three forms are read: the released multimodal one (`text_config`, `vision_config`, `audio_config`), a text decoder
alone (architecture `Gemma4ForCausalLM`), and either of them as recent `transformers` writes it. The released form is
what is written. Keys that this version does not know are kept where they stood.

Upstream: `transformers` models/gemma4/configuration_gemma4.py and models/gemma4_unified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

from gemsmith.config.document import blaming, read_document
from gemsmith.config.fields import check, fields_from_json, plain, shown, with_dtype
from gemsmith.config.media import AudioConfig, UnifiedAudioConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.config.text import TextConfig
from gemsmith.errors import ConfigError

ARCHITECTURES = {
    "gemma4": "Gemma4ForConditionalGeneration",
    "gemma4_unified": "Gemma4UnifiedForConditionalGeneration",
    "gemma4_text": "Gemma4ForCausalLM",
    "gemma4_unified_text": "Gemma4UnifiedForCausalLM",
}
MEDIA_IDS = (
    "boi_token_id",
    "eoi_token_id",
    "image_token_id",
    "video_token_id",
    "boa_token_id",
    "eoa_token_id",
    "audio_token_id",
)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Gemma 4 model: its text decoder, its senses, and the token ids that stand for media."""

    text: TextConfig
    vision: VisionConfig | UnifiedVisionConfig | None = None
    audio: AudioConfig | UnifiedAudioConfig | None = None
    model_type: str = "gemma4"
    architectures: tuple[str, ...] = ()
    dtype: str = "bfloat16"
    boi_token_id: int | None = 255_999  # begin of image, end of image, one soft token of it; then video, audio
    eoi_token_id: int | None = 258_882
    image_token_id: int | None = 258_880
    video_token_id: int | None = 258_884
    boa_token_id: int | None = 256_000
    eoa_token_id: int | None = 258_883
    audio_token_id: int | None = 258_881
    eos_token_id: int | tuple[int, ...] | None = None
    vision_soft_tokens_per_image: int | None = None
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> ModelConfig:
        """Read `config.json` (a file, or the folder that holds it)."""
        path = Path(path)
        file = path / "config.json" if path.is_dir() else path
        with blaming(file):
            return cls.from_json(read_document(file))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelConfig:
        """Read the object of a config.json; raises ConfigError naming the key that cannot be used."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"a config must be a JSON object, found {type(data).__name__}")
        model_type = data.get("model_type")
        if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
            raise ConfigError(
                f"model_type is {shown(model_type)}, which is no Gemma 4 model; known are {', '.join(ARCHITECTURES)}"
            )
        data = with_dtype(data)
        return cls._text_only(data) if model_type.endswith("_text") else cls._multimodal(data)

    @classmethod
    def of(cls, config: ModelConfig | TextConfig) -> ModelConfig:
        """A text decoder alone as a model without senses; a whole model as it is."""
        return config if isinstance(config, ModelConfig) else cls(text=config, model_type=config.model_type)

    def to_json(self) -> dict[str, Any]:
        """The released form of config.json."""
        if self.is_text_only:
            return {"architectures": list(self.architectures), **self.text.to_json()}
        out = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in _SECTIONS}
        out["eoa_token_index"] = self.eoa_token_id  # released files say it under both names
        for name in ("eos_token_id", "vision_soft_tokens_per_image"):
            if out[name] is None:
                del out[name]
        out["text_config"] = self.text.to_json()
        out["vision_config"] = self.vision.to_json() if self.vision else None
        out["audio_config"] = self.audio.to_json() if self.audio else None
        return {**out, **plain(self.extra)}

    @property
    def is_text_only(self) -> bool:
        """Whether the file speaks of a text decoder alone, so that its tensors carry no `language_model.`"""
        return self.model_type.endswith("_text")

    @property
    def is_unified(self) -> bool:
        """Whether this is the 12B kind: no towers, pictures and sound enter through one layer each."""
        return self.model_type.startswith("gemma4_unified")

    def __post_init__(self) -> None:
        if self.model_type not in ARCHITECTURES:
            raise ConfigError(f"model_type is {shown(self.model_type)}; known are {', '.join(ARCHITECTURES)}")
        if not self.architectures:
            object.__setattr__(self, "architectures", (ARCHITECTURES[self.model_type],))
        if self.is_text_only and (self.vision or self.audio):
            raise ConfigError(f"a {self.model_type} model has no vision or audio")
        wanted = self.model_type.removesuffix("_text") + "_text"
        if self.text.model_type != wanted:  # a section that does not say its type is of its model's
            raise ConfigError(f"text_config.model_type is {shown(self.text.model_type)}, expected {wanted!r}")
        for name in MEDIA_IDS:
            if getattr(self, name) is not None:
                check(name, getattr(self, name), int, 0, 1 << 24)

    @classmethod
    def _text_only(cls, data: dict[str, Any]) -> ModelConfig:
        known = fields_from_json(cls, {"text": None, **_take(data, "architectures")}, "config", skip=_SECTIONS)
        text = TextConfig.from_json(data)
        known.update(model_type=text.model_type, dtype=text.dtype, text=text, **dict.fromkeys(MEDIA_IDS))
        return cls(**known)

    @classmethod
    def _multimodal(cls, data: dict[str, Any]) -> ModelConfig:
        unified = data["model_type"] == "gemma4_unified"
        sections = {name: data.pop(f"{name}_config", None) for name in ("text", "vision", "audio")}
        if not isinstance(sections["text"], Mapping):
            raise ConfigError("text_config is missing; is this a Gemma 4 config.json?")
        text = {"model_type": f"{data['model_type']}_text", **with_dtype(sections["text"])}
        if text.get("dtype") is None:
            text["dtype"] = data.get("dtype")
        _one_name_for_eoa(data)
        vision: type[VisionConfig | UnifiedVisionConfig] = UnifiedVisionConfig if unified else VisionConfig
        audio: type[AudioConfig | UnifiedAudioConfig] = UnifiedAudioConfig if unified else AudioConfig
        return cls(
            text=TextConfig.from_json(text),
            vision=_section(vision, sections["vision"], "vision_config"),
            audio=_section(audio, sections["audio"], "audio_config"),
            **fields_from_json(cls, data, "config", skip=_SECTIONS),
        )


_SECTIONS = ("text", "vision", "audio", "extra")


def _section(cls: Any, data: Any, name: str) -> Any:
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError(f"{name} must be an object or null, found {type(data).__name__}")
    return None if data is None else cls.from_json(data)


def _take(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: data.pop(name) for name in names if name in data}


def _one_name_for_eoa(data: dict[str, Any]) -> None:
    """The end-of-audio id has two names; when both are there they must agree."""
    ids = [data.pop(name) for name in ("eoa_token_id", "eoa_token_index") if data.get(name) is not None]
    if len(set(map(repr, ids))) > 1:
        raise ConfigError(
            f"eoa_token_id is {shown(ids[0])} but eoa_token_index is {shown(ids[1])}; they name the same token"
        )
    if ids:
        data["eoa_token_id"] = ids[0]
