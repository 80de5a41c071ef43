from __future__ import annotations

import pytest

from chargen.errors import ConfigError
from chargen.machine.launch import Launch, launched

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "none",
}


def test_the_variables_of_torchrun_are_read() -> None:
    assert Launch.here(TORCHRUN) == Launch(3, 4, 1, 2, "host", 29500, True)
    assert launched(TORCHRUN)
    assert not Launch.here(TORCHRUN).leads


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "4"}, {**TORCHRUN, "WORLD_SIZE": "1"}])
def test_a_process_on_its_own_is_alone(environment: dict[str, str]) -> None:
    assert Launch.here(environment) == Launch()
    assert launched(environment) == ("TORCHELASTIC_RUN_ID" in environment)


@pytest.mark.parametrize(
    ("name", "value"), [("MASTER_PORT", ""), ("RANK", "-1"), ("RANK", "x"), ("RANK", "4")]
)
def test_variables_that_are_no_numbers_are_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Launch.here({**TORCHRUN, name: value})
