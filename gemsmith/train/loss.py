"""What training minimises, and what it watches: cross-entropy of the answers, and examples answered without a slip.

B rows   T tokens of a row   R targets of a row   D hidden   V vocabulary
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gemsmith.data.packing import IGNORED, Batch
from gemsmith.model.text import TextModel


def tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """ids, positions, segments [B, T]; wanted, targets [B, R]."""
    arrays = (batch.ids, batch.positions, batch.segments, batch.wanted, batch.targets)
    ids, positions, segments, wanted, targets = (torch.from_numpy(a) for a in arrays)
    return ids, positions, segments, wanted, targets


def cross_entropy(
    model: TextModel, ids_BT: Tensor, positions_BT: Tensor, segments_BT: Tensor, wanted_BR: Tensor, targets_BR: Tensor
) -> Tensor:
    """Mean loss in nats over the targets. Layers after the last K/V producer run for the wanted rows alone."""
    x_BRD = model.hidden(ids_BT, wanted_BR=wanted_BR, positions_BT=positions_BT, segments_BT=segments_BT)
    return F.cross_entropy(model.logits(x_BRD).flatten(0, 1), targets_BR.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def exact_match(model: TextModel, batch: Batch) -> tuple[int, int]:
    """Examples whose every target is the likeliest token, and examples in all.

    Greedy decoding of such an example would write exactly its answer, so this measures generation at the price of
    one forward pass. (A thought that differs and still ends well counts as a slip here; `eval` is kinder.)
    """
    ids, positions, segments, wanted, targets = tensors(batch)
    x_BRD = model.hidden(ids, wanted_BR=wanted, positions_BT=positions, segments_BT=segments)
    slipped = (model.logits(x_BRD).argmax(-1) != targets) & (targets != IGNORED)
    segment_of_target = segments.gather(1, wanted)
    total = int(segments.amax(1).sum())
    slips = {(b, int(s)) for b, r in slipped.nonzero().tolist() for s in [segment_of_target[b, r]]}
    return total - len(slips), total
