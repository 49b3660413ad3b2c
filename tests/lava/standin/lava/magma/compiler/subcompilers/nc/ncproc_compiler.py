"""Stand-in: the names that public code imports."""


class CompilerOptions:
    """Options of the compiler."""

    verbose = False


class NcProcCompiler:
    """Nothing is compiled for a neuro core."""
