/* The phase transition curve as tables; counterpart of qif2hw/engine/curve.py. */
#ifndef QIF_CURVE_H
#define QIF_CURVE_H

#include "integers.h"
#include "qif.h"

/* left + rise fraction / 2^spacing, rounded half up: between two values of a table. */
static inline int64_t between(int64_t left, int64_t rise, int64_t fraction, int spacing)
{
    return left + floor_shift(floor_shift(2 * rise * fraction, spacing) + 1, 1);
}

/* Phase after a kick of a0 counts with the lateness factors a1 and m2; each in a file of its own. */
int32_t qif_kick_by_cotangent(
    const qif_cotangent *tables, const qif_second_moment *second, int32_t phase, int64_t a0, int64_t a1, int64_t m2);
int32_t qif_kick_by_phase_and_weight(const qif_grid *tables, int32_t phase, int64_t a0, int64_t a1);

#endif
