"""Parameters of neurons in discrete time, for property tests."""

import math

from hypothesis import assume
from hypothesis import strategies as st

from qif2hw.discrete import MARGIN, SteppedQIF
from qif2hw.discrete.parameters import RESOLUTION


@st.composite
def exact_neurons(draw: st.DrawFn) -> SteppedQIF:
    """Valid exact neurons with real roots, the threshold anywhere up to the margin, small and large scales mixed."""
    scale = 10.0 ** draw(st.floats(-3, 3))
    u1 = scale * draw(st.floats(-1, 1))
    u2 = u1 + scale * draw(st.floats(0, 3))
    a = 10.0 ** draw(st.floats(-6, 3)) / scale
    pole = u1 + (1 / a if a * (u2 - u1) < 1e-300 else (u2 - u1) / -math.expm1(-a * (u2 - u1)))
    threshold = u1 + draw(st.floats(1e-3, (1 - MARGIN) * (1 - 1e-9))) * (pole - u1)
    reset = threshold - scale * 10.0 ** draw(st.floats(-3, 3))
    # Beyond these float32 does not resolve the potentials, and the parameters are refused.
    assume(
        abs(reset) <= 1e6 and pole <= 1e6 and pole - threshold > 1.001 * RESOLUTION * max(abs(u1), abs(u2), threshold)
    )
    return SteppedQIF(a, u1, u2, threshold, reset)
