"""Every setting: one line here makes its flag, its environment variable, its key in a file, and its help.

Ranges are the engine's, so that a mistake is told before a model is loaded. Imports next to nothing: `--help` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One thing that can be set. `unset` says in words what holds where nobody sets it."""

    key: str  # in files; the flag is --key and the variable GEMSMITH_KEY
    kind: type  # bool, int, float, str; tuple stands for several texts
    metavar: str
    help: str
    unset: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    default: Any = None  # None: whoever is concerned decides
    by_project: bool = True  # whether a project's file may set it: such a file may be a stranger's

    @property
    def flag(self) -> str:
        """On the command line; the model alone is no option there."""
        return "MODEL" if self.key == "model" else "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment."""
        return "GEMSMITH_" + self.key.upper()


OWN = "the model's own"

LOADING = (
    Setting("max_context", int, "TOKENS", "longest conversation to make room for", "the model's own limit", 1, 1 << 30),
    Setting("threads", int, "N", "processor threads", "all that are allowed", 1, 1024),
    Setting("dtype", str, "NAME", "compute with torch in float32, bfloat16 or float16", "chosen for the machine",
            choices=("float32", "bfloat16", "float16")),
    Setting("device", str, "NAME", "compute with torch on cpu, cuda, cuda:1, mps", "chosen for the machine"),
    Setting("kv", str, "NAME", "the native engine keeps keys and values in bf16, q8 or f32", "bf16",
            choices=("bf16", "q8", "f32")),
)  # fmt: skip

SAMPLING = (
    Setting("temperature", float, "T", "0 always takes the likeliest token; higher is more varied", OWN, 0, 1000),
    Setting("top_p", float, "P", "keep the likeliest tokens that together reach probability P", OWN, 0, 1),
    Setting("top_k", int, "K", "keep the K likeliest tokens; 0 keeps all", OWN, 0, 1 << 24),
    Setting("min_p", float, "P", "drop tokens less likely than P times the likeliest", OWN, 0, 1),
    Setting("max_tokens", int, "N", "end the answer after N tokens", "until the context is full", 1, 1 << 30),
    Setting("seed", int, "N", "same seed, same answer", "different every time", 0, (1 << 64) - 1),
    Setting("repetition_penalty", float, "X", "above 1: divides the odds of tokens already seen", OWN, 0.01, 100),
    Setting("presence_penalty", float, "X", "taken from the logit of any token already written", "0", -100, 100),
    Setting("frequency_penalty", float, "X", "taken from a token's logit each time it was written", "0", -100, 100),
    Setting("stop", tuple, "TEXT", "end the answer before TEXT; may be given more than once", "none"),
)  # fmt: skip

CONVERSATION = (
    Setting("model", str, "MODEL", "the model of a command that is told none", "pebble", default="pebble"),
    Setting("system", str, "TEXT", "instructions that stand above the conversation", "none"),
    Setting("think", bool, "", "let the model think before it answers", "false", default=False),
)

PROGRAM = (  # these say what the program may do with this machine, which is for its owner alone to say
    Setting("plain", bool, "", "lines only, the cursor never moves: for screen readers", "false",
            default=False, by_project=False),
    Setting("history", bool, "", "keep typed lines for the next time", "true", default=True, by_project=False),
    Setting("offline", bool, "", "make no connection: use what is on this machine", "false",
            default=False, by_project=False),
    Setting("color", str, "WHEN", "colour the output: auto, always or never", "auto",
            choices=("auto", "always", "never"), default="auto", by_project=False),
)  # fmt: skip

SETTINGS = (*CONVERSATION, *SAMPLING, *LOADING, *PROGRAM)
BY_KEY = {setting.key: setting for setting in SETTINGS}
