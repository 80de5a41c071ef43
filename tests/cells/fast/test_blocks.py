"""Matrices that are made of blocks, as those of averaged networks are."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chargen.cells.fast.blocks import BlockProduct, blocks_of, product_with
from chargen.cells.fast.rows import RowProduct

GATES = 3


def matrix_of(*shapes: tuple[int, int], spare: int = 0) -> torch.Tensor:
    """Random blocks (H_k, N_k) on the diagonal of each gate, and rows and columns of zeros."""
    generator = torch.Generator().manual_seed(0)
    gates = [
        torch.block_diag(*(torch.randn(shape, generator=generator) for shape in shapes))
        for _ in range(GATES)
    ]
    return torch.cat([F.pad(gate, [0, spare, 0, spare]) for gate in gates])


@pytest.mark.parametrize("spare", [0, 5])
@pytest.mark.parametrize("shapes", [((64, 40), (32, 40)), ((40, 64), (40, 64), (48, 32))])
def test_blocks_are_found_and_multiplied_alone(
    shapes: tuple[tuple[int, int], ...], spare: int
) -> None:
    matrix = matrix_of(*shapes, spare=spare)
    found = [
        (b.rows.stop - b.rows.start, b.columns.stop - b.columns.start)
        for b in blocks_of(matrix, GATES)
    ]
    assert found[:-1] == list(shapes[:-1])
    assert found[-1] in (shapes[-1], (shapes[-1][0], shapes[-1][1] + spare))
    bias = torch.linspace(-1, 1, len(matrix))
    product = product_with(matrix, bias, gates=GATES)
    assert isinstance(product, BlockProduct)
    x, u = torch.rand(16, matrix.shape[1]), torch.rand(16, len(matrix))
    x[:, -spare or len(x[0]) :] = 9  # what is in spare columns is multiplied by zeros
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(product(x), x @ matrix.T + bias, **tolerance)
    torch.testing.assert_close(product.add_to(u.clone(), x), u + x @ matrix.T, **tolerance)
    for count in range(product.tile, 16, product.tile):
        assert torch.equal(product(x[:count]), product(x)[:count])


def test_other_matrices_are_multiplied_whole() -> None:
    dense, tiny = matrix_of((64, 64)), matrix_of((4, 4), (4, 4))
    corner = matrix_of((64, 64), (64, 64))
    corner[-1, 0] = 1
    for matrix in (dense, F.pad(dense, [0, 32]), tiny, corner, torch.zeros(6, 4)):
        assert isinstance(product_with(matrix, gates=GATES), RowProduct)
