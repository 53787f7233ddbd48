"""The pytest plugin: a gateway for each test that asks for one.

pytest imports this module in every run of an environment that has it, so it is small and imports
nothing of ours until a test needs it. PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lastseen_simulator.running import RunningGateway
    from lastseen_simulator.settings import GatewaySettings

__all__ = ["lastseen_gateway", "lastseen_gateway_factory"]

_RUNNING = pytest.StashKey[list["RunningGateway"]]()
_PASSED = pytest.StashKey[bool]()

_MARKER = (
    "lastseen(dialect, seed, faults, must_fire, keys, **knobs): what the gateway of a test is like "
    "(pip install 'lastseen[pytest]')"
)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuses a wrong marker before anything runs."""
    # A worker of pytest-xdist that refused to work would be taken for one that has crashed; there,
    # the fixture speaks up.
    for item in () if hasattr(config, "workerinput") else items:
        if (trouble := _trouble(item)) is not None:
            raise pytest.UsageError(f"{item.nodeid}: {trouble}")


@pytest.fixture
def lastseen_gateway_factory(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., "RunningGateway"]]:
    """Starts gateways: the marker's settings, and on top of them those of the call."""
    gateway_class = _gateway_class()
    item: pytest.Item = request.node
    if (trouble := _trouble(item)) is not None:
        pytest.fail(trouble, pytrace=False)
    running = item.stash[_RUNNING] = []

    def start(**settings: Any) -> "RunningGateway":
        gateway = gateway_class(_settings(item, settings))
        running.append(gateway)
        return gateway

    yield start
    _stop(running)
    if item.stash.get(_PASSED, False):
        _judge(running)


@pytest.fixture
def lastseen_gateway(
    lastseen_gateway_factory: Callable[..., "RunningGateway"],
) -> "RunningGateway":
    """A gateway of its own for the test, on a free port, at rest; see the marker `lastseen`."""
    return lastseen_gateway_factory()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tells in the report of a failed test what its gateways have been through."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    told_already = report.when == "teardown" and not item.stash.get(_PASSED, True)
    if report.failed and not told_already:
        for gateway in item.stash.get(_RUNNING, ()):
            report.sections.append(("lastseen gateway", gateway.describe()))
    return report


def _gateway_class() -> "type[RunningGateway]":
    """The class, or a failed test that says what to install."""
    try:
        from lastseen_simulator.running import RunningGateway
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing.startswith("lastseen"):
            raise
    else:
        return RunningGateway
    pytest.fail(f"lastseen_gateway needs {missing}: pip install 'lastseen[pytest]'", pytrace=False)


def _trouble(item: pytest.Item) -> str | None:
    """What is wrong with the markers of a test."""
    if item.get_closest_marker("lastseen") is None:
        return None
    try:
        _settings(item, {})
    except ValueError as error:
        return str(error)
    return None


def _settings(item: pytest.Item, given: dict[str, Any]) -> "GatewaySettings":
    """The settings of every marker, the nearest last, and those given on top."""
    from lastseen_simulator.settings import SettingError, settings_from

    merged: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("lastseen"))):
        if marker.args:
            raise SettingError(f"the lastseen marker takes keywords only, not {marker.args[0]!r}")
        if "port" in marker.kwargs:
            raise SettingError("the lastseen marker takes no port: tests may run at the same time")
        merged.update(marker.kwargs)
    return settings_from({**merged, **given}, folder=item.path.parent)


def _stop(running: list["RunningGateway"]) -> None:
    """Stops all, then raises what the first one failed with."""
    failures: list[BaseException] = []
    for gateway in running:
        try:
            gateway.stop()
        except BaseException as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _judge(running: list["RunningGateway"]) -> None:
    """Fails a test that has passed without meeting the faults it was about."""
    unfired = [
        f"{receipt.kind} {receipt.at!r}: {receipt.detail}"
        for gateway in running
        for receipt in gateway.unfired()
    ]
    if unfired:
        pytest.fail(
            "the test has passed, but proves nothing: faults that did not fire\n  "
            + "\n  ".join(unfired)
            + "\n(must_fire=False allows that)",
            pytrace=False,
        )
