"""Parity in test suites: assertions, and a plugin of pytest (`qif2hw.testing.plugin`) with golden bundles.

pytest imports this wherever qif2hw is installed: what the assertions need is imported when one is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qif2hw.testing.assertions import assert_golden as assert_golden
    from qif2hw.testing.assertions import assert_parity as assert_parity

__all__ = ["assert_golden", "assert_parity"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from qif2hw.testing import assertions

        return getattr(assertions, name)
    raise AttributeError(f"module 'qif2hw.testing' has no attribute '{name}'")
