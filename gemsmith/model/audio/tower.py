"""The audio tower of E2B and E4B: log-mel frames of 10 ms in, soft tokens of 40 ms out.

    B batch   T log-mel frames   F mel bins   M media (soft) tokens   D hidden
    C chunks of Q tokens   S tokens that a chunk's are shown   P places of a distance

Makes no log-mel frames (`gemsmith.media.mel`), and does not project into the text decoder's width (`projection.py`).
Sounds of any length pass: memory and work grow with the length, not with its square, as every token attends to its
neighbours alone. Parameters carry the checkpoint's names without its prefix `model.audio_tower.`.
Sources: Gemma 4 Technical Report (arXiv 2607.02770); Zhang et al., Universal Speech Model (arXiv 2303.01037);
upstream `transformers` models/gemma4/modeling_gemma4.py.
"""

from __future__ import annotations

from torch import Tensor, nn

from gemsmith.config import AudioConfig
from gemsmith.model.audio.attention import relative_positions, seen
from gemsmith.model.audio.conformer import ConformerLayer
from gemsmith.model.audio.subsampling import Subsampling


class AudioTower(nn.Module):
    """Four frames become one token, tokens hear their past layer after layer, and a last matrix widens them."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.audio = audio
        self.subsample_conv_projection = Subsampling(audio)
        self.layers = nn.ModuleList(ConformerLayer(audio) for _ in range(audio.num_hidden_layers))
        self.output_proj = nn.Linear(audio.hidden_size, audio.output_proj_dims)

    def forward(self, mel_BTF: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Soft tokens [B, M, output_proj_dims], and which are valid, [B, M].

        The valid frames of a sound come first. What follows them, in a batch of sounds of several lengths, changes
        nothing of theirs; the tokens that it becomes are not valid, and mean nothing.
        """
        if not mel_BTF.shape[1]:  # less than one frame of sound, of which a convolution can make nothing
            return self.output_proj.weight.new_zeros(len(mel_BTF), 0, self.audio.output_proj_dims), valid_BT
        x_BMD, valid_BM = self.subsample_conv_projection(mel_BTF, valid_BT)
        position_PD = relative_positions(self.audio, x_BMD.device).to(x_BMD.dtype)
        seen_BCQS = seen(valid_BM, self.audio)
        for layer in self.layers:
            x_BMD = layer(x_BMD, position_PD, seen_BCQS)
        return self.output_proj(x_BMD), valid_BM
