/* Kicks through a pair of tables: phase to v = -cot(theta), and back. */
#include "curve.h"
#include "moments.h"

/* Distance of the knots of an octave is 2 to this power. */
static int spacing_of(const qif_table *table, int octave)
{
    return table->first_octave - table->mantissa_bits + (int)larger(octave - 1, 0);
}

/* Index of the last knot at or before x >= 0. */
static int32_t knot_before(const qif_table *table, int64_t x)
{
    int octave = (int)larger(bit_length(x) - table->first_octave, 0);
    int64_t start = octave > 0 ? (int64_t)1 << (table->first_octave + octave - 1) : 0;
    return ((int32_t)octave << table->mantissa_bits) + (int32_t)((x - start) >> spacing_of(table, octave));
}

/* Table value at x >= 0: linear between the knots, rounded half up. */
static int64_t look_up(const qif_table *table, int64_t x)
{
    int32_t index = knot_before(table, x);
    int spacing = spacing_of(table, (int)(index >> table->mantissa_bits));
    int64_t fraction = x & (((int64_t)1 << spacing) - 1);
    int32_t left = table->knots[index];
    int32_t rise = index + 1 < table->count ? table->knots[index + 1] - left : 0;
    return between(left, rise, fraction, spacing);
}

/* v = -cot(theta) of phases from edge to threshold - edge: negative in the first half of the cycle. */
static int64_t potential(const qif_cotangent *tables, int32_t phase)
{
    int64_t twice = 2 * (int64_t)phase;
    int64_t distance = (QIF_THRESHOLD - magnitude(twice - QIF_THRESHOLD)) >> 1;
    int64_t size = larger(look_up(&tables->to_potential, distance), 0);
    return twice < QIF_THRESHOLD ? -size : size;
}

/* Phase of a potential, after saturation; never nearer than edge to an end. */
static int32_t phase_of(const qif_cotangent *tables, int64_t v)
{
    int64_t limit = tables->to_potential.knots[0];
    int64_t distance = larger(look_up(&tables->to_phase, smaller(magnitude(v), limit)), tables->edge);
    return (int32_t)(v < 0 ? distance : QIF_THRESHOLD - distance);
}

int32_t qif_kick_by_cotangent(
    const qif_cotangent *tables, const qif_second_moment *second, int32_t phase, int64_t a0, int64_t a1, int64_t m2)
{
    int64_t v, loss = 0, curvature = 0;
    if ((a0 == 0 && a1 == 0 && m2 == 0) || phase < tables->edge || phase > QIF_THRESHOLD - tables->edge) {
        return phase;
    }
    v = potential(tables, phase);
    if (second != 0) {
        loss = second_order_loss(second, a0, a1, m2);
        curvature = rounded_shift(m2 * (v + 2 * a0) * second->curvature_gain, second->curvature_shift);
        curvature = clip(curvature, -QIF_CURVATURE_MAX, QIF_CURVATURE_MAX);
    }
    v += a0 - loss + rounded_shift((a1 + curvature) * (2 * v + a0), QIF_LATE_FRACTION);
    return phase_of(tables, v);
}
