from __future__ import annotations

import numpy as np
import pytest
import torch

from chargen.corpus.windows import Windows
from chargen.training.feed import Feed

TOKENS = np.random.default_rng(0).integers(9, size=250).astype(np.uint16)
DEVICES = ["cpu", "meta", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.mark.parametrize("device", DEVICES)
def test_windows_come_in_any_order_prepared_or_not(device: str) -> None:
    windows = Windows(TOKENS, 4, 8, newline_id=3)
    feed = Feed(windows, torch.device(device))
    feed.prepare(5)
    for step in (0, 5, 5, 4, 7, windows.steps_per_epoch):
        feed.prepare(step + 1)
        ids, targets, fresh, counted = feed.window(step)
        wanted_ids, wanted_targets, wanted_fresh = windows.window(step)
        assert fresh == wanted_fresh
        assert counted is None
        assert (ids.shape, targets.shape) == (wanted_ids.shape, wanted_targets.shape)
        assert ids.device.type == targets.device.type == device
        if device != "meta":
            assert ids.cpu().numpy().tolist() == wanted_ids.tolist()
            assert targets.cpu().numpy().tolist() == wanted_targets.tolist()


@pytest.mark.parametrize("device", DEVICES[1:])
def test_a_prepared_window_is_not_sent_again(device: str) -> None:
    feed = Feed(Windows(TOKENS, 4, 8, newline_id=3), torch.device(device))
    feed.prepare(2)
    assert feed.window(2)[0] is feed.window(2)[0]
