"""A model as data."""

from gemsmith.config.generation import GenerationConfig
from gemsmith.config.media import AudioConfig, UnifiedAudioConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.config.model import ModelConfig
from gemsmith.config.presets import preset, preset_names
from gemsmith.config.text import LayerConfig, TextConfig

__all__ = [
    "AudioConfig",
    "GenerationConfig",
    "LayerConfig",
    "ModelConfig",
    "TextConfig",
    "UnifiedAudioConfig",
    "UnifiedVisionConfig",
    "VisionConfig",
    "preset",
    "preset_names",
]
