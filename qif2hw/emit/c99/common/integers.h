/* Integer operations of the machine; counterpart of qif2hw/engine/integers.py.

   Nothing here depends on the compiler: negative numbers are never shifted, neither way. */
#ifndef QIF_INTEGERS_H
#define QIF_INTEGERS_H

#include <stdint.h>

/* floor(value / 2^bits). C leaves open what a right shift of a negative number is; its complement is not negative. */
static inline int64_t floor_shift(int64_t value, int bits)
{
    return value >= 0 ? value >> bits : ~(~value >> bits);
}

/* floor(value / 2^bits + 1/2). */
static inline int64_t rounded_shift(int64_t value, int bits)
{
    return floor_shift(value + (((int64_t)1 << bits) >> 1), bits);
}

/* value 2^bits. */
static inline int64_t shifted_left(int64_t value, int bits)
{
    return value * ((int64_t)1 << bits);
}

/* Position of the highest set bit of a value of at least 0, plus one; 0 for 0. */
static inline int bit_length(int64_t value)
{
    int bits = 0;
    for (int half = 32; half > 0; half >>= 1) {
        if (value >> half > 0) {
            value >>= half;
            bits += half;
        }
    }
    return bits + (value > 0);
}

static inline int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* The value, or the nearer of both bounds. */
static inline int64_t clip(int64_t value, int64_t low, int64_t high)
{
    return larger(low, smaller(value, high));
}

#endif
