"""A run's state on disk: weights, the optimizer's moments, the number of steps. Safetensors, never pickle.

The file appears whole or not at all, so a run that is killed while saving goes on from the save before.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gemsmith.errors import TrainingError
from gemsmith.formats.safetensors import TensorFile, write_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.ops import buffers

FILE = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save(folder: Path, model: nn.Module, optimizer: torch.optim.AdamW, steps: int) -> None:
    """Write everything that `restore` needs to continue bit for bit after `steps` steps."""
    tensors = {f"model.{name}": p for name, p in model.state_dict().items()}
    updates = 0  # fewer than `steps` if a batch was skipped, and none at all if every one was
    for name, p in model.named_parameters():
        if p in optimizer.state:
            updates = int(optimizer.state[p]["step"])
            tensors |= {f"{moment}.{name}": optimizer.state[p][moment] for moment in MOMENTS}
    views = {
        name: TensorView(name, tuple(t.shape), buffers.NAMES[t.dtype], buffers.to_buffer(t))
        for name, t in tensors.items()
    }
    write_tensors(folder / FILE, views, {"format": "pt", "steps": str(steps), "updates": str(updates)})


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.AdamW) -> int:
    """Load what `save` wrote, if anything; returns the number of steps already taken.

    TrainingError if the state is of another model.
    """
    path = folder / FILE
    if not path.exists():
        return 0
    file = TensorFile(path)
    steps, updates = int(file.metadata["steps"]), int(file.metadata["updates"])
    tensors = {name: buffers.from_buffer(v.buffer, v.dtype, v.shape).clone() for name, v in file.items()}
    ours = {name: tuple(p.shape) for name, p in model.state_dict().items()}
    theirs = {n.removeprefix("model."): tuple(t.shape) for n, t in tensors.items() if n.startswith("model.")}
    if ours != theirs:
        differing = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
        raise TrainingError(
            f"{path} holds the state of another model (first differing tensor: {differing[0]});"
            " choose another folder, or remove it to start afresh"
        )
    model.load_state_dict({name: tensors[f"model.{name}"] for name in ours})
    for name, p in model.named_parameters():
        if updates:
            optimizer.state[p] = _moments(tensors, name, updates)
    return steps


def _moments(tensors: dict[str, Tensor], name: str, updates: int) -> dict[str, Tensor]:
    moments = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
    return {"step": torch.tensor(float(updates)), **moments}
