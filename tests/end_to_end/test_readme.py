"""The README's example runs as it stands there."""

import pathlib
import re

import pytest
import trio

from lastseen_simulator.gateway.options import DEMO_KEY
from lastseen_simulator.server import open_gateway

README = pathlib.Path(__file__).parents[2] / "README.md"
PATIENCE_S = 30.0


async def test_the_example_reaches_synced(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    follow = names["main"]
    assert callable(follow)
    printed = ""

    async with open_gateway(seed=3) as gateway:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow, gateway.ws_url, DEMO_KEY)
                while " synced " not in printed:
                    await gateway.wait_step()
                    printed += capsys.readouterr().out
                nursery.cancel_scope.cancel()

    assert "StateSnapshot not yet" in printed


def test_it_stays_an_example_of_a_dozen_lines() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)

    assert DEMO_KEY in code
    assert len([line for line in code.splitlines() if line.strip()]) <= 13
