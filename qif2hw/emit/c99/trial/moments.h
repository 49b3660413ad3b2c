/* The second moment of lateness; counterpart of second_order_loss in qif2hw/engine/curve.py. */
#ifndef QIF_MOMENTS_H
#define QIF_MOMENTS_H

#include "integers.h"
#include "qif.h"

/* a2 + 3 (a0 m2 - a1^2 / lambda) / 2, in units of a0. */
static inline int64_t second_order_loss(const qif_second_moment *second, int64_t a0, int64_t a1, int64_t m2)
{
    int64_t own = rounded_shift(m2 * second->own_gain, second->own_shift);
    int64_t unequal = rounded_shift(3 * a0 * m2, QIF_LATE_FRACTION + 1);
    int64_t common = rounded_shift(a1 * a1 * second->commutator_gain, second->commutator_shift);
    return own + unequal - common;
}

#endif
