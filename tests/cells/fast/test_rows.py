"""A row of a batch has the same bits whatever is computed beside it, on any number of threads."""

from __future__ import annotations

import pytest
import torch

from chargen.cells.fast import rows as row_arithmetic
from chargen.cells.fast.rows import RowProduct
from chargen.machine.devices import cpu_threads


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("size", [(100, 400), (512, 256), (33, 70)])
def test_a_row_of_a_product_has_the_same_bits_in_any_batch(
    monkeypatch: pytest.MonkeyPatch, packing: bool, size: tuple[int, int]
) -> None:
    if not packing:
        monkeypatch.setattr(row_arithmetic, "_packing_keeps_rows", lambda _: False)
    generator = torch.Generator().manual_seed(0)
    matrix, x = (
        torch.randn(size[1], size[0], generator=generator),
        torch.randn(96, size[0], generator=generator),
    )
    product = RowProduct(matrix, torch.ones(size[1]))
    whole = product(x)
    torch.testing.assert_close(whole, x @ matrix.T + 1, rtol=1e-4, atol=1e-4)
    for count in (1, 2, 3, 5, 16, 17, 48):
        if count % product.tile == 0:
            assert torch.equal(product(x[:count].clone()), whole[:count])


def test_no_share_of_a_thread_ends_inside_a_vector() -> None:
    for threads in (1, 2, 3, 4, 6):
        with cpu_threads(threads):
            for rows in (1, 7, 34, 100, 255):
                x = torch.linspace(-9, 9, rows * 2048).view(rows, 2048)
                want = torch.cat([torch.sigmoid(row) for row in x]).view_as(x)
                assert torch.equal(row_arithmetic.sigmoid_(x.clone()), want)
