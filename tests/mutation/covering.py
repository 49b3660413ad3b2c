"""Which tests run a source file, the quick ones and those nearest to it first."""

from fnmatch import fnmatchcase
from pathlib import Path

COMPILED = ("compiler/test_compile.py", "compiler/test_passes.py", "engine/test_machine.py")
STEPPED = ("compiler/test_stepped.py", "engine/test_stepped.py", "compiler/test_stepped_passes.py")
CERTIFIED = ("parity/test_certificates.py", "parity/test_explain.py", "parity/test_domain.py")
PAGES = ("parity/test_report.py", "parity/test_stepped.py")

TESTS: dict[str, tuple[str, ...]] = {
    "compiler/passes/adapt.py": ("compiler/test_adapt.py", "compiler/test_sparse.py", *COMPILED),
    "compiler/passes/budget.py": (*COMPILED, "compiler/test_degenerate.py"),
    "compiler/passes/compensate.py": (*COMPILED, "compiler/test_adapt.py", "compiler/test_degenerate.py"),
    "compiler/passes/fit.py": (
        "compiler/test_targets.py",
        "compiler/test_mapping.py",
        "compiler/test_microcode.py",
        *COMPILED,
    ),
    "compiler/passes/moments.py": ("compiler/test_moments.py", *COMPILED),
    "compiler/passes/ranges.py": (
        "compiler/test_ranges.py",
        "compiler/test_proof.py",
        "compiler/test_microcode.py",
        *COMPILED,
    ),
    "compiler/passes/registers.py": ("compiler/test_proof.py", *COMPILED),
    "compiler/passes/tables.py": (*COMPILED, "compiler/test_targets.py", "compiler/test_microcode.py"),
    "compiler/passes/time_grid.py": (*COMPILED, "compiler/test_ranges.py", "compiler/test_max_error.py"),
    "compiler/passes/tune.py": ("compiler/test_tune.py", *COMPILED),
    "compiler/passes/*": (*COMPILED, "compiler/test_max_error.py", "compiler/test_degenerate.py"),
    "compiler/search/*": ("compiler/test_search.py",),
    "compiler/stepped/adapt.py": ("compiler/test_stepped_adapt.py", *STEPPED),
    "compiler/stepped/features.py": ("compiler/test_stepped_adapt.py", *STEPPED),
    "compiler/stepped/budget.py": ("compiler/test_stepped_budget.py", *STEPPED),
    "compiler/stepped/layers.py": (
        "compiler/test_stepped_adapt.py",
        *STEPPED,
        "compiler/test_stepped_mapping.py",
    ),
    "compiler/stepped/ranges.py": (*STEPPED, "engine/test_cuba.py"),
    "compiler/stepped/fit.py": ("compiler/test_stepped_mapping.py", *STEPPED),
    "compiler/stepped/needs.py": ("compiler/test_stepped_mapping.py", *STEPPED),
    "compiler/stepped/*": (*STEPPED, "compiler/test_stepped_budget.py", "compiler/test_stepped_adapt.py"),
    "compiler/driver.py": ("compiler/test_driver.py", *COMPILED),
    "compiler/intervals.py": ("compiler/test_proof.py", "compiler/test_ranges.py", *COMPILED),
    "compiler/proof.py": ("compiler/test_proof.py", *COMPILED),
    "compiler/mapping.py": (
        "compiler/test_mapping.py",
        "compiler/test_stepped_mapping.py",
        "compiler/test_microcode.py",
    ),
    "compiler/max_error.py": ("compiler/test_max_error.py", "compiler/test_degenerate.py"),
    "compiler/targets/*": ("compiler/test_targets.py", "compiler/test_microcode.py"),
    "compiler/error_measures.py": (
        *COMPILED,
        "ir/test_first_spike.py",
        "compiler/test_degenerate.py",
        "compiler/test_max_error.py",
    ),
    "compiler/*": (*COMPILED, "compiler/test_driver.py", "compiler/test_max_error.py", "compiler/test_degenerate.py"),
    "engine/stepped/potentials.py": ("engine/test_potentials.py", *STEPPED),
    "engine/stepped/*": (*STEPPED, "engine/test_sums.py", "engine/test_cuba.py", "engine/test_potentials.py"),
    "engine/fast_sums.py": (
        "compiler/test_sparse.py",
        "engine/test_sums.py",
        "engine/test_machine.py",
        "engine/test_stepped.py",
    ),
    "engine/fast_plane.py": (
        "engine/test_machine.py",
        "compiler/test_microcode.py",
        "parity/test_certificates.py",
        "compiler/test_compile.py",
    ),
    "engine/plane.py": ("engine/test_machine.py", "compiler/test_microcode.py", "compiler/test_compile.py"),
    "engine/fast.py": (
        "engine/test_machine.py",
        "engine/test_sums.py",
        "compiler/test_compile.py",
        "parity/test_explain.py",
        "test_machinecode.py",
    ),
    "engine/*": ("engine/test_machine.py", "engine/test_sums.py", "test_memory.py", "compiler/test_compile.py"),
    "parity/certificates/domain.py": ("parity/test_domain.py",),
    "parity/certificates/explain.py": ("parity/test_explain.py", "parity/test_report.py"),
    "parity/certificates/*": CERTIFIED,
    "parity/matching.py": ("parity/test_matching.py", "parity/test_check.py"),
    "parity/identical.py": ("parity/test_identical.py", "parity/test_check.py"),
    "parity/shards.py": ("workers/test_shards.py",),
    "parity/cost.py": ("cli/test_estimate.py",),
    "parity/drift.py": ("parity/test_drift.py", "cli/test_diff.py", "parity/test_stepped.py"),
    "parity/stepped*.py": ("parity/test_stepped.py",),
    "parity/classes.py": ("ir/test_first_spike.py", "parity/test_stepped.py"),
    "parity/sections.py": ("parity/test_check.py", *PAGES, "ir/test_first_spike.py"),
    "parity/check.py": ("parity/test_check.py", *PAGES),
    "parity/*": ("parity/test_check.py", *PAGES, "parity/test_matching.py"),
}
"""By files below ``qif2hw``, of which the first that fits counts: test files below ``tests``."""


def files(root: Path) -> list[str]:
    """The source files that are changed."""
    folders = dict.fromkeys(pattern.partition("/")[0] for pattern in TESTS)
    return sorted(str(p.relative_to(root)) for f in folders for p in (root / "qif2hw" / f).rglob("*.py"))


def fits(file: str, pattern: str) -> bool:
    """Whether an entry is for a source file, given relative to the root."""
    return fnmatchcase(file, f"qif2hw/{pattern}")


def tests(file: str) -> tuple[str, ...]:
    """The test files of a source file, both relative to the root."""
    found = next(tests for pattern, tests in TESTS.items() if fits(file, pattern))
    return tuple(f"tests/{name}" for name in dict.fromkeys(found))
