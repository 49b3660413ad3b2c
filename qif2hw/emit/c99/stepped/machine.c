/* The machine with a stepped clock; counterpart of qif2hw/engine/stepped/spec.py. */
#include "integers.h"
#include "neurons.h"
#include "qif.h"
#include "synapses.h"

/* Everything that changes. */
static int32_t registers[QIF_REGISTERS];
static int32_t sent[QIF_SENT];
static int32_t steps; /* that were done */

/* Where a group puts what it sends in time step n. */
static int32_t *slot(int32_t group, int32_t n)
{
    const qif_group *own = &qif_groups[group];
    return sent + own->sent + n % own->slots * own->size;
}

/* A sum of weights in units of the potential. */
static int64_t shifted(int64_t total, int exponent)
{
    return exponent >= 0 ? shifted_left(total, exponent) : rounded_shift(total, -exponent);
}

static int32_t *second_register(const qif_population *p, int32_t *first)
{
    return qif_registers(p->arithmetic) == 2 ? first + p->size : 0;
}

void qif_start(void)
{
    for (int32_t k = 0; k < QIF_POPULATIONS; k++) {
        const qif_population *p = &qif_populations[k];
        for (int32_t i = 0; i < p->size; i++) {
            int32_t *first = registers + p->registers + i;
            qif_start_of(p, i, first, second_register(p, first));
        }
    }
    steps = 0;
}

void qif_advance(const int32_t *frame)
{
    for (int32_t group = 0; group < QIF_INPUT_GROUPS; group++) {
        int32_t *own = slot(group, steps);
        for (int32_t j = 0; j < qif_groups[group].size; j++) {
            own[j] = *frame++;
        }
    }
    for (int32_t k = 0; k < QIF_POPULATIONS; k++) {
        const qif_population *p = &qif_populations[k];
        int32_t *own = slot(QIF_INPUT_GROUPS + k, steps);
        for (int32_t i = 0; i < p->size; i++) {
            int32_t *first = registers + p->registers + i;
            int64_t x = qif_bias(p, i);
            for (int32_t place = p->projections; place < p->projections + p->projection_count; place++) {
                const qif_projection *q = &qif_projections[place];
                x += shifted(qif_received(q, sent + qif_groups[q->source].sent, i, steps), q->exponent);
            }
            own[i] = qif_step(p, i, first, second_register(p, first), x);
        }
    }
    steps++;
}

const int32_t *qif_sent(int32_t group)
{
    return slot(group, steps - 1);
}

void qif_sums(int32_t *sums)
{
    for (int32_t k = 0; k < QIF_READOUTS; k++) {
        const qif_population *p = &qif_populations[qif_outputs[k]];
        for (int32_t i = 0; i < p->size; i++) {
            *sums++ = registers[p->registers + i];
        }
    }
}

int32_t qif_class(const int32_t *sums)
{
    int32_t best = 0;
    for (int32_t i = 1; i < QIF_OUTPUTS; i++) {
        if (sums[i] * qif_output_gains[i] > sums[best] * qif_output_gains[best]) {
            best = i;
        }
    }
    return best;
}
