"""The plugin of pytest: fixtures ``qif2hw_parity`` and ``golden_bundle``, and the option ``--update-goldens``.

pytest finds it where qif2hw is installed. What a check measured is written among the test's properties, which
``--junit-xml`` writes.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("qif2hw")
    group.addoption("--update-goldens", action="store_true", help="write golden bundles instead of comparing with them")


def _record(request: pytest.FixtureRequest, name: str, value: object) -> None:
    """Add a property to the test, as ``record_property`` does, which warns of the family of XML that is the default."""
    request.node.user_properties.append((name, value))


@pytest.fixture
def qif2hw_parity(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`qif2hw.testing.assert_parity`, which records every verdict as a property of the test."""
    from qif2hw import parity
    from qif2hw.testing import assert_parity

    def check(*args: Any, **options: Any) -> Any:
        found: list[Any] = []
        own = parity.check

        def kept(*inner: Any, **more: Any) -> Any:
            found.append(own(*inner, **more))
            return found[-1]

        try:
            return assert_parity(*args, **options, check=kept)
        finally:
            for verdict in found[-1].verdicts if found else ():
                _record(request, f"{verdict.backend}: {verdict.quantity}", verdict.measured)

    return check


@pytest.fixture
def golden_bundle(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`qif2hw.testing.assert_golden` of a bundle and a path beside the test; ``--update-goldens`` writes the file."""
    from qif2hw.testing import assert_golden

    def check(bundle: Any, path: str | os.PathLike[str], **options: Any) -> None:
        where = request.path.parent / path
        update = bool(request.config.getoption("--update-goldens"))
        _record(request, "golden bundle", str(path))
        assert_golden(bundle, where, update=update, **options)

    return check
