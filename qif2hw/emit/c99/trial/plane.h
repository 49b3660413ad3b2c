/* The plane-vector neuron; counterpart of qif2hw/engine/plane.py. Only the direction of (x, y) counts. */
#ifndef QIF_PLANE_H
#define QIF_PLANE_H

#include "qif.h"

typedef struct {
    int64_t x, y;
} qif_vector;

/* Turns by a fixed angle, whose cosine and sine have that many fraction bits. */
qif_vector qif_rotate(qif_vector v, int32_t cosine, int32_t sine, int bits);

/* x += a1 x - a0 y, y += a2 x - a1 y; a direction above the axis stays above it. The products leave out the
   lowest bits of the coordinates. */
qif_vector qif_shear(qif_vector v, int64_t a0, int64_t a1, int64_t a2, int drop);

/* Shifts both coordinates until the larger has QIF_VECTOR_BITS bits: left exactly, right with rounding. */
qif_vector qif_normalise(qif_vector v);

/* Whether the vector left the upper half plane; if it did, it is turned back by half a turn. */
int qif_cross(qif_vector *v);

/* Ticks since the crossing, rounded down: a comparison and a subtraction for each bit. */
int32_t qif_ticks_late(const qif_plane *curve, qif_vector v);

/* Angle in phase counts, from 0 to QIF_THRESHOLD - 1. */
int32_t qif_phase_of(const qif_plane *curve, qif_vector v);

#endif
