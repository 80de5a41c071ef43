"""Workers as they are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack

from chargen.options import WorkersConfig
from chargen.workers.messages import Crew, Work
from chargen.workers.pool import Pool
from chargen.workers.processes import Processes


def check_workers(wanted: WorkersConfig) -> None:
    """Raise WorkerError or MissingExtraError where Ray is wanted and isn't there."""
    if wanted.ray != "none":
        from chargen.workers.ray_cluster import check_address

        check_address(wanted.ray)


def pool_of(
    stack: ExitStack,
    wanted: WorkersConfig,
    work: Work,
    facts: Mapping[str, str],
    *,
    threads: int | None = None,
    group: int = 1,
    gpus: int = 0,
) -> Pool:
    """Make a pool of the workers that are wanted, which ends with ``stack``.

    A cluster of Ray is joined or started at once, so that errors come early; the workers start
    when there is something to do.

    Args:
        stack: ends the workers.
        wanted: the options.
        work: what they do.
        facts: see ``Pool``.
        group: see ``Pool``.
        threads: CPU threads that processes share; None: one for each processor.
        gpus: GPUs of each worker, for Ray.

    Raises:
        WorkerError: see ``cluster``.
        MissingExtraError: Ray is asked for, and is not installed.
    """
    if wanted.ray == "none":
        size = wanted.workers or 1
        share = max(1, (threads or os.cpu_count() or 1) // size)

        def start() -> Crew:
            return Processes(work, size, share)

        return stack.enter_context(Pool(start, facts, size=size, group=group))
    from chargen.workers.ray_actors import RayActors
    from chargen.workers.ray_cluster import cluster

    there = stack.enter_context(cluster(wanted.ray, wanted.workers))
    return stack.enter_context(
        Pool(lambda: RayActors(there, work, gpus=gpus), facts, size=there.workers, group=group)
    )
