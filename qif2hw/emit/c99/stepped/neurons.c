#include "neurons.h"

#include "integers.h"

/* Shifts a plane vector until q has QIF_SCALE_BITS or one more bits: only its direction matters. */
static void normalised(int64_t *p, int64_t *q)
{
    int bits = bit_length(magnitude(*q));
    int down = (int)larger(bits - (QIF_SCALE_BITS + 1), 0), up = (int)larger(QIF_SCALE_BITS - bits, 0);
    *p = shifted_left(floor_shift(*p, down), up);
    *q = shifted_left(floor_shift(*q, down), up);
}

static int32_t plane(const qif_plane_step *own, int32_t channel, int32_t *first, int32_t *second, int64_t x)
{
    int64_t p = *first, q = *second;
    int32_t fired;
    q -= rounded_shift(p * own->coupling[channel], own->coupling_shift);
    p = rounded_shift(p * own->decay, QIF_DECAY_BITS);
    normalised(&p, &q);
    p += rounded_shift(x * q, QIF_SCALE_BITS);
    fired = p >= rounded_shift(own->threshold[channel] * q, QIF_SCALE_BITS);
    *first = (int32_t)(fired ? own->reset[channel] : p);
    *second = (int32_t)(fired ? (int64_t)1 << QIF_SCALE_BITS : q);
    return fired;
}

static int32_t fire(int64_t v, int32_t threshold, int32_t reset, int32_t *first)
{
    int32_t fired;
    v = clip(v, -QIF_STATE_MAX, QIF_STATE_MAX);
    fired = v >= threshold;
    *first = (int32_t)(fired ? reset : v);
    return fired;
}

static int32_t euler(const qif_euler_step *own, int32_t channel, int32_t *first, int64_t x)
{
    const int64_t most = ((int64_t)1 << (QIF_FACTOR_BITS - 1)) - 1;
    int64_t w = *first;
    int64_t square = clip(w, -most, most) * clip(w - own->distance[channel], -most, most);
    int64_t curved = rounded_shift(square, QIF_FACTOR_BITS) * own->curvature[channel];
    w += rounded_shift(curved, QIF_CURVATURE_BITS - QIF_FACTOR_BITS) + x;
    return fire(w, own->threshold[channel], own->reset[channel], first);
}

static int32_t leak(const qif_leak_step *own, int32_t channel, int32_t *first, int64_t x)
{
    int64_t v = rounded_shift((int64_t)*first * own->leak, QIF_DECAY_BITS) + x;
    return fire(v, own->threshold[channel], own->reset[channel], first);
}

/* What is left of a register, rounded towards zero. */
static int64_t decayed(int64_t value, int32_t decay)
{
    int64_t left = magnitude(value) * (QIF_CUBA_UNITY - decay) >> QIF_CUBA_BITS;
    return value < 0 ? -left : left;
}

/* Modulo 2^24, above -2^23. */
static int64_t wrapped(int64_t u)
{
    return ((u + QIF_CUBA_LARGEST) & (2 * (int64_t)QIF_CUBA_LARGEST + 1)) - QIF_CUBA_LARGEST;
}

/* The first register is the voltage, which the bias enters; the second is the current. */
static int32_t cuba(
    const qif_cuba_step *own, int32_t channel, int32_t *voltage, int32_t *current, int64_t x, int32_t bias)
{
    int64_t u = wrapped(decayed(*current, own->current_decay[channel]) + x - bias);
    int64_t v = decayed(*voltage, own->voltage_decay[channel]) + u + bias;
    int32_t fired;
    v = clip(v, -QIF_CUBA_LARGEST, QIF_CUBA_LARGEST);
    fired = v > own->threshold[channel];
    *voltage = (int32_t)(fired ? 0 : v);
    *current = (int32_t)u;
    return fired;
}

void qif_start_of(const qif_population *p, int32_t neuron, int32_t *first, int32_t *second)
{
    int32_t channel = neuron / p->channel_size;
    switch (p->arithmetic) {
    case QIF_PLANE:
        *first = p->own.plane->reset[channel];
        *second = (int32_t)1 << QIF_SCALE_BITS;
        break;
    case QIF_EULER:
        *first = p->own.euler->reset[channel];
        break;
    case QIF_LEAK:
        *first = p->own.leak->reset[channel];
        break;
    case QIF_CUBA:
        *first = *second = 0;
        break;
    default:
        *first = 0;
    }
}

int32_t qif_step(const qif_population *p, int32_t neuron, int32_t *first, int32_t *second, int64_t x)
{
    int32_t channel = neuron / p->channel_size;
    switch (p->arithmetic) {
    case QIF_PLANE:
        return plane(p->own.plane, channel, first, second, x);
    case QIF_EULER:
        return euler(p->own.euler, channel, first, x);
    case QIF_LEAK:
        return leak(p->own.leak, channel, first, x);
    case QIF_CUBA:
        return cuba(p->own.cuba, channel, first, second, x, qif_bias(p, neuron));
    default:
        *first += (int32_t)x;
        return 0;
    }
}
