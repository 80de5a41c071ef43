"""What a launcher such as torchrun says of this process: which of how many it is.

Only the environment is read, and torch isn't imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from chargen.errors import ConfigError

_NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
AGENT = "TORCHELASTIC_USE_AGENT_STORE"


@dataclass(frozen=True)
class Launch:
    """Where this process stands among those that were started together.

    Attributes:
        rank: its number; the process of rank 0 leads.
        size: of all processes.
        local_rank, local_size: the same among those of this machine.
        address, port: where all processes meet.
        hosted: whether the launcher runs the server there; otherwise the leading process does.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    address: str = ""
    port: int = 0
    hosted: bool = False

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Launch:
        """Read the variables that torchrun sets; a process without them is alone.

        Raises:
            ConfigError: some are missing, are no numbers or contradict each other.
        """
        if environment.get("WORLD_SIZE", "1") == "1" or "RANK" not in environment:
            return cls()
        found: dict[str, int] = {}
        for name in _NUMBERS:
            value = environment.get(name, "0" if name.startswith("LOCAL") else "")
            if not (value.isascii() and value.isdigit()):
                raise ConfigError(
                    f"The variable {name} is {value!r}, and there is a WORLD_SIZE.",
                    "Start the processes with torchrun, or unset RANK and WORLD_SIZE.",
                )
            found[name] = int(value)
        if found["RANK"] >= found["WORLD_SIZE"]:
            raise ConfigError(
                f"RANK is {found['RANK']}, and WORLD_SIZE {found['WORLD_SIZE']}: the first is 0.",
                "Start the processes with torchrun, or unset RANK and WORLD_SIZE.",
            )
        return cls(
            rank=found["RANK"],
            size=found["WORLD_SIZE"],
            local_rank=found["LOCAL_RANK"],
            local_size=found["LOCAL_WORLD_SIZE"] or 1,
            address=environment.get("MASTER_ADDR", "localhost"),
            port=found["MASTER_PORT"],
            hosted=environment.get(AGENT) == "True",
        )

    @property
    def leads(self) -> bool:
        """Whether this process writes the run and shows it."""
        return self.rank == 0


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process: it sends signals on, perhaps a second time."""
    return "TORCHELASTIC_RUN_ID" in environment or Launch.here(environment).size > 1


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process says what is wrong with options, which its machine's others have too."""
    try:
        return Launch.here(environment).local_rank == 0
    except ConfigError:
        return True
