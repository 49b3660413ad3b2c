#include "plane.h"

#include "integers.h"

#define LONGEST ((int64_t)1 << QIF_VECTOR_BITS)

qif_vector qif_rotate(qif_vector v, int32_t cosine, int32_t sine, int bits)
{
    qif_vector turned;
    turned.x = rounded_shift(v.x * cosine - v.y * sine, bits);
    turned.y = rounded_shift(v.x * sine + v.y * cosine, bits);
    return turned;
}

qif_vector qif_shear(qif_vector v, int64_t a0, int64_t a1, int64_t a2, int drop)
{
    qif_vector sheared;
    int64_t p = rounded_shift(v.x, drop), q = rounded_shift(v.y, drop);
    sheared.x = v.x + rounded_shift(a1 * p - a0 * q, QIF_LATE_FRACTION - drop);
    sheared.y = v.y - rounded_shift(a1 * q - a2 * p, QIF_LATE_FRACTION - drop);
    if (v.y > 0) {
        sheared.y = larger(sheared.y, 1);
    }
    return sheared;
}

static int64_t shifted(int64_t value, int down)
{
    return down > 0 ? rounded_shift(value, down) : shifted_left(clip(value, -LONGEST, LONGEST), -down);
}

qif_vector qif_normalise(qif_vector v)
{
    int down = bit_length(larger(magnitude(v.x), magnitude(v.y))) - QIF_VECTOR_BITS;
    v.x = shifted(v.x, down);
    v.y = shifted(v.y, down);
    return v;
}

int qif_cross(qif_vector *v)
{
    int fired = v->y < 0 || (v->y == 0 && v->x < 0);
    if (fired) {
        v->x = -v->x;
        v->y = -v->y;
    }
    return fired;
}

int32_t qif_ticks_late(const qif_plane *curve, qif_vector v)
{
    int64_t rest = v.y * curve->tick_gain, unit = larger(v.x, 1);
    int32_t ticks = 0;
    for (int bit = QIF_LATENESS_BITS - 1; bit >= 0; bit--) {
        int64_t part = shifted_left(unit, bit);
        if (rest >= part) {
            rest -= part;
            ticks += (int32_t)1 << bit;
        }
    }
    return ticks;
}

int32_t qif_phase_of(const qif_plane *curve, qif_vector v)
{
    int64_t x = shifted_left(v.x, QIF_ANGLE_BITS), y = shifted_left(v.y, QIF_ANGLE_BITS), angle = 0;
    if (x < 0) {
        int64_t left = x;
        x = y;
        y = -left;
        angle = ((int64_t)QIF_THRESHOLD << QIF_ANGLE_BITS) >> 1;
    }
    /* Turns by atan(2^-i) towards y = 0 are added up. */
    for (int i = 0; i < curve->angle_count; i++) {
        int64_t across = floor_shift(y, i), up = floor_shift(x, i);
        if (y > 0) {
            x += across;
            y -= up;
            angle += curve->angles[i];
        } else {
            x -= across;
            y += up;
            angle -= curve->angles[i];
        }
    }
    return (int32_t)clip(rounded_shift(angle, QIF_ANGLE_BITS), 0, QIF_THRESHOLD - 1);
}
