/* The integer machine; counterpart of qif2hw/engine/spec.py. */
#include "curve.h"
#include "integers.h"
#include "moments.h"
#include "plane.h"
#include "qif.h"

/* What a neuron sends: flag 1 and its lateness for a spike, flag 0 and its phase in the flush step, zeros else. */
typedef struct {
    int32_t flag, payload;
} message;

/* Everything that changes. */
static int32_t registers[QIF_REGISTERS];
static int32_t sum_flags[QIF_LARGEST], sum_payloads[QIF_LARGEST], sum_squares[QIF_LARGEST];
/* What each group sent in the last step: the senders that sent something, from the place of the group on. */
static int32_t sent_count[QIF_GROUPS], sender[QIF_SENDERS];
static message sent[QIF_SENDERS];

/* One message for both: 2^bits flag + payload. */
static int32_t pack(message m, int bits)
{
    return (m.flag << bits) + m.payload;
}

/* The sums of flags and of payloads in a sum of packed messages. */
static void unpack(int32_t total, int bits, int32_t *a0, int32_t *a1)
{
    *a0 = (int32_t)rounded_shift(total, bits);
    *a1 = total - (int32_t)shifted_left(*a0, bits);
}

/* Square of a spike's lateness, in ticks per step. */
static int32_t square(message m)
{
    return m.flag ? (int32_t)((int64_t)m.payload * m.payload >> QIF_LATENESS_BITS) : 0;
}

/* A sum of weights times lateness, or its square, with QIF_LATE_FRACTION fraction bits. */
static int64_t lateness(const qif_scales *scales, int32_t total)
{
    return rounded_shift((int64_t)total * scales->late_gain, scales->late_shift);
}

#if QIF_USES_COTANGENT || QIF_USES_GRID

static int32_t kick(const qif_population *p, int32_t phase, int64_t a0, int64_t a1, int64_t m2)
{
#if QIF_USES_GRID
    if (p->form == QIF_GRID) {
        phase = qif_kick_by_phase_and_weight(p->curve.grid, phase, a0, a1);
    }
#endif
#if QIF_USES_COTANGENT
    if (p->form == QIF_COTANGENT) {
        phase = qif_kick_by_cotangent(p->curve.cotangent, p->scales.second, phase, a0, a1, m2);
    }
#endif
    (void)m2; /* A grid alone takes none. */
    return phase;
}

static message step_phase(
    const qif_population *p, int32_t local_step, int32_t *phase, int32_t a0, int32_t a1, int32_t a2)
{
    const qif_scales *scales = &p->scales;
    message m = {0, 0};
    int32_t crossed, kicked, fired;
    if (local_step > QIF_TRIAL_STEPS) {
        int64_t pull = rounded_shift((int64_t)a1 * scales->flush_gain, scales->flush_shift);
        *phase = kick(p, *phase, pull, 0, 0);
        m.payload = (int32_t)rounded_shift(*phase, p->flush_drop);
        return m;
    }
    crossed = *phase + QIF_INCREMENT;
    fired = crossed >= QIF_THRESHOLD;
    crossed -= fired * QIF_THRESHOLD;
    kicked = kick(
        p, crossed, shifted_left(a0, scales->kick_bits), lateness(scales, a1),
        scales->second == 0 ? 0 : lateness(scales, a2));
    if (local_step == QIF_TRIAL_STEPS) {
        /* The trial ends inside this step: turn the phase back to its end, and un-fire what crossed after it. */
        int32_t after = fired && crossed < p->overshoot;
        fired = fired && !after;
        kicked = (int32_t)clip((int64_t)kicked - p->overshoot + after * QIF_THRESHOLD, 0, QIF_THRESHOLD - 1);
    }
    *phase = kicked;
    if (fired) {
        m.flag = 1;
        m.payload = crossed >> (QIF_PHASE_BITS - QIF_LATENESS_BITS);
    }
    return m;
}

#endif

#if QIF_USES_PLANE

static message step_vector(
    const qif_population *p, int32_t local_step, int32_t *x, int32_t *y, int32_t a0, int32_t a1, int32_t a2)
{
    const qif_scales *scales = &p->scales;
    const qif_plane *curve = p->curve.plane;
    qif_vector v = {*x, *y};
    message m = {0, 0};
    if (local_step < 1) {
        return m;
    }
    if (local_step > QIF_TRIAL_STEPS) {
        v = qif_normalise(
            qif_shear(v, rounded_shift((int64_t)a1 * scales->flush_gain, scales->flush_shift), 0, 0, curve->shear_drop));
        m.payload = (int32_t)rounded_shift(qif_phase_of(curve, v), p->flush_drop);
    } else {
        int64_t kick0 = rounded_shift((int64_t)a0 * curve->kick_gain, curve->kick_shift);
        int64_t kick1 = lateness(scales, a1), kick2 = 0;
        v = qif_rotate(v, curve->cosine, curve->sine, curve->trig_bits);
        m.flag = qif_cross(&v);
        m.payload = m.flag ? qif_ticks_late(curve, v) : 0;
        if (scales->second != 0) {
            int64_t m2 = lateness(scales, a2);
            kick2 = rounded_shift(m2 * scales->second->own_gain, scales->second->own_shift);
            kick0 -= second_order_loss(scales->second, kick0, kick1, m2);
        }
        v = qif_normalise(qif_shear(v, kick0, kick1, kick2, curve->shear_drop));
        if (local_step == QIF_TRIAL_STEPS) {
            /* The trial ends inside this step: turn back to its end; a spike that this undoes came after it. */
            v = qif_rotate(v, curve->back_cosine, -curve->back_sine, curve->trig_bits);
            if (qif_cross(&v)) {
                if (!m.flag) {
                    /* What fired in an earlier step stays fired: it sends no pseudo-phase. */
                    v.x = (int64_t)1 << (QIF_VECTOR_BITS - 1);
                    v.y = 0;
                }
                m.flag = m.payload = 0;
            }
        }
    }
    *x = (int32_t)v.x;
    *y = (int32_t)v.y;
    return m;
}

#endif

/* Neuron i of a population in its local step, with the sums that arrived. */
static message step(const qif_population *p, int32_t i, int32_t local_step, int32_t a0, int32_t a1, int32_t a2)
{
    int32_t *own = registers + p->registers + i;
    message m = {0, 0};
    if (local_step > QIF_TRIAL_STEPS + 1) {
        return m;
    }
#if QIF_USES_PLANE
    if (p->form == QIF_PLANE) {
        m = step_vector(p, local_step, own, own + p->size, a0, a1, a2);
    }
#endif
#if QIF_USES_COTANGENT || QIF_USES_GRID
    if (p->form != QIF_PLANE) {
        m = step_phase(p, local_step, own, a0, a1, a2);
    }
#endif
    return m;
}

/* Adds the weights of one source, times a value, to the totals of the neurons. */
static void add(const qif_projection *q, int32_t source, int32_t value, int32_t *total)
{
    if (value == 0) {
        return;
    }
    if (q->begin == 0) {
        const int8_t *row = q->weight + source * q->post;
        for (int32_t i = 0; i < q->post; i++) {
            total[i] += row[i] * q->unit * value;
        }
        return;
    }
    for (int32_t s = q->begin[source]; s < q->begin[source + 1]; s++) {
        total[q->neuron[s]] += q->weight[s] * q->unit * value;
    }
}

/* Adds up what was sent to a population; packed: in one accumulator; one: flag and payload are one message. */
static void add_up(const qif_population *p, int packed, int one)
{
    for (int32_t i = 0; i < p->size; i++) {
        sum_flags[i] = sum_payloads[i] = sum_squares[i] = 0;
    }
    for (int32_t k = p->projections; k < p->projections + p->projection_count; k++) {
        const qif_projection *q = &qif_projections[k];
        int32_t first = qif_senders[q->source];
        for (int32_t s = first; s < first + sent_count[q->source]; s++) {
            if (packed) {
                add(q, sender[s], pack(sent[s], p->packed_bits), sum_payloads);
            } else {
                add(q, sender[s], sent[s].flag, sum_flags);
                add(q, sender[s], one ? pack(sent[s], 0) : sent[s].payload, sum_payloads);
            }
            if (p->scales.second != 0) {
                add(q, sender[s], square(sent[s]), sum_squares);
            }
        }
    }
}

static void send(int32_t group, int32_t number, message m)
{
    int32_t place = qif_senders[group] + sent_count[group];
    if (m.flag != 0 || m.payload != 0) {
        sender[place] = number;
        sent[place] = m;
        sent_count[group]++;
    }
}

/* One machine step of a population. */
static void advance(int32_t k, int32_t n, qif_output *output, qif_observer observer)
{
    const qif_population *p = &qif_populations[k];
    int32_t local_step = n - p->depth, group = QIF_INPUT_GROUPS + k;
    /* In the flush step nothing has a flag: the one accumulator holds the pseudo-phases alone. */
    int packed = p->packed_bits > 0 && local_step <= QIF_TRIAL_STEPS;
    int one = p->one_message && local_step <= QIF_TRIAL_STEPS;
    add_up(p, packed, one);
    sent_count[group] = 0;
    for (int32_t i = 0; i < p->size; i++) {
        qif_output *own = p->output < 0 ? 0 : &output[p->output + i];
        int32_t a0 = sum_flags[i], a1 = sum_payloads[i];
        message m;
        if (packed) {
            unpack(sum_payloads[i], p->packed_bits, &a0, &a1);
        }
        if (one) {
            a1 -= a0;
        }
        m = step(p, i, local_step, a0, a1, sum_squares[i]);
        send(group, i, m);
        if (m.flag && observer != 0) {
            observer(k, i, n, m.payload);
        }
        if (own != 0 && m.flag && own->step < 0) {
            own->step = n;
            own->lateness = m.payload;
        }
        if (own != 0 && local_step == QIF_TRIAL_STEPS + 1) {
            own->flush = m.payload;
        }
    }
}

static void start(qif_output *output)
{
    for (int32_t k = 0; k < QIF_POPULATIONS; k++) {
        const qif_population *p = &qif_populations[k];
        for (int32_t i = 0; i < p->start_count; i++) {
            registers[p->registers + i] = p->start[i];
        }
    }
    for (int32_t k = 0; k < QIF_GROUPS; k++) {
        sent_count[k] = 0;
    }
    for (int32_t i = 0; i < QIF_OUTPUTS; i++) {
        output[i].step = -1;
        output[i].lateness = output[i].flush = 0;
    }
}

void qif_run(const int32_t *step_in, const int32_t *late_in, qif_output *output, qif_observer observer)
{
    start(output);
    for (int32_t n = 1; n <= QIF_STEPS; n++) {
        /* From the last population to the first: each reads what its sources sent in the step before. */
        for (int32_t k = QIF_POPULATIONS - 1; k >= 0; k--) {
            advance(k, n, output, observer);
        }
        for (int32_t group = 0; group < QIF_INPUT_GROUPS; group++) {
            sent_count[group] = 0;
            for (int32_t c = qif_senders[group]; c < qif_senders[group + 1]; c++) {
                message m = {1, late_in[c]};
                if (step_in[c] == n) {
                    send(group, c - qif_senders[group], m);
                }
            }
        }
    }
}
