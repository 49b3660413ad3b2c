"""The version of the results: what a kept run is valid for, beside its settings."""

CHANGES = {
    1: "The first numbered version; the runs kept before it, bound to digests of the code, give the same numbers.",
}
"""What changed in the numbers, by version.

Add a version, with one sentence about the numbers concerned, whenever a change of the code may change the result of a
training, of a compilation or of a test with the same settings: another formula, another order of summation, other data.
Every run is then made anew.  Moving, renaming and documenting code changes no number.
"""

RESULTS_SCHEMA = max(CHANGES)
"""The version that runs are kept under now."""
