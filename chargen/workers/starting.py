"""Workers as they are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from chargen.options import WorkersConfig
from chargen.workers.messages import Crew, Work
from chargen.workers.pool import Pool
from chargen.workers.processes import SECONDS_TO_END, Processes


def check_workers(wanted: WorkersConfig) -> None:
    """Raise WorkerError or MissingExtraError where Ray is wanted and isn't there."""
    if wanted.ray != "none":
        from chargen.workers.ray_cluster import check_address

        check_address(wanted.ray)


def waiting_processes(
    stack: ExitStack, wanted: WorkersConfig, modules: Sequence[str]
) -> Processes | None:
    """Start the processes that are wanted, if any, while the caller still prepares their work.

    Args:
        stack: ends them.
        wanted: the options.
        modules: what their work imports.
    """
    if wanted.ray != "none" or not wanted.shared:
        return None
    processes = Processes(wanted.workers or 1, modules)
    stack.callback(processes.close)
    return processes


def pool_of(
    stack: ExitStack,
    wanted: WorkersConfig,
    work: Work,
    facts: Mapping[str, str],
    *,
    threads: int | None = None,
    group: int = 1,
    ahead: bool = True,
    gpus: int = 0,
    keep_going: bool = False,
    seconds_to_end: float | None = None,
    waiting: Processes | None = None,
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
        ahead: likewise.
        keep_going: likewise.
        threads: CPU threads that processes share; None: one for each processor.
        gpus: GPUs of each worker, for Ray.
        seconds_to_end: how long workers have to save what they do, when they are to end; None:
            they need not.
        waiting: processes that wait for their work.

    Raises:
        WorkerError: see ``cluster``.
        MissingExtraError: Ray is asked for, and is not installed.
    """
    if wanted.ray == "none":
        size = wanted.workers or 1
        share = max(1, (threads or os.cpu_count() or 1) // size)

        def start() -> Crew:
            processes = waiting or Processes(size, seconds_to_end=seconds_to_end or SECONDS_TO_END)
            return processes.begin(work, share)

        return stack.enter_context(
            Pool(start, facts, size=size, group=group, ahead=ahead, keep_going=keep_going)
        )
    from chargen.workers.ray_actors import RayActors
    from chargen.workers.ray_cluster import cluster

    there = stack.enter_context(cluster(wanted.ray, wanted.workers))

    def start_actors() -> Crew:
        return RayActors(there, work, gpus=gpus, seconds_to_end=seconds_to_end or 0.0)

    size = there.workers
    return stack.enter_context(
        Pool(start_actors, facts, size=size, group=group, ahead=ahead, keep_going=keep_going)
    )
