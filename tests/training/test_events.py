"""What events tell of a run."""

from __future__ import annotations

from chargen.training.events import Event, Planned, ShareDone


def test_the_share_that_is_done_never_falls() -> None:
    done, shares = ShareDone(), []
    events = [Event(0, 0.0), Planned(0, 0.0, 8, 1.0, False), Event(4, 1.0)]
    events += [Planned(4, 1.0, 16, 2.0, True), Event(2, 1.0), Event(12, 2.0), Event(17, 3.0)]
    for event in events:
        done.note(event)
        shares.append(done.share)
    assert shares == [0, 0, 0.5, 0.5, 0.5, 0.75, 1]
