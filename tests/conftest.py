"""Figures that a test finds worth telling, at the end of the run and wherever the test ran."""

from collections.abc import Callable

import pytest

_FIGURE = "figure"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tells one line, also when the test passes and its output is captured."""
    properties: list[tuple[str, object]] = request.node.user_properties

    def line(text: str) -> None:
        properties.append((_FIGURE, text))

    return line


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    lines = [
        value
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == _FIGURE
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(str(line))
