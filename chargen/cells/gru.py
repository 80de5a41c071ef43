"""The gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chargen.cells.base import RecurrentCell, State


class GRU(RecurrentCell):
    """Gates as in an LSTM, but one state and one gate fewer.

    r = σ(U_r x_t + b_r + W_r h_{t−1})
    z = σ(U_z x_t + b_z + W_z h_{t−1})
    n = tanh(U_n x_t + b_n + r ⊙ (W_n h_{t−1} + d))
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}

    Shapes: x_t (B, I), h_t (B, H), U (3H, I), W (3H, H), b (3H,), d (H,).

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP
    2014, in the variant of cuDNN and torch, where r acts after the product with W_n.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias, gate_names=("r", "z", "n"))
        self.d = nn.Parameter(torch.empty(hidden_size)) if bias else None

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        super().reset_parameters(generator)
        if self.d is not None:
            self.d.zero_()

    def step(self, u: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        u_r, u_z, u_n = u.chunk(3, dim=-1)
        w_r, w_z, w_n = (h @ self.W.T).chunk(3, dim=-1)
        r = torch.sigmoid(u_r + w_r)
        z = torch.sigmoid(u_z + w_z)
        n = torch.tanh(u_n + r * (w_n if self.d is None else w_n + self.d))
        h = n + z * (h - n)
        return h, (h,)
