"""Jobs that several tests read."""

from __future__ import annotations

import io

from chargen.generation.batch.jobs import BadLine, Defaults, Job, read_jobs
from chargen.options import SamplingConfig

SHORT = Defaults(SamplingConfig(length=6, temperature=1.0))


def parse(text: str, *, as_json: bool = True, defaults: Defaults = SHORT) -> list[Job | BadLine]:
    file = io.BytesIO(text.encode())
    return list(read_jobs(file, as_json=as_json, defaults=defaults, check=lambda request: None))
