/* Golden inputs of the bundle, and the spikes that they must give. */
#ifndef QIF_GOLDEN_H
#define QIF_GOLDEN_H

#include "qif.h"

typedef struct {
    int32_t sample, population, neuron, step, lateness;
} qif_spike;

extern const int32_t qif_golden_samples, qif_golden_spike_count;
extern const int32_t qif_golden_step[], qif_golden_lateness[]; /* (samples, QIF_INPUTS) */
extern const qif_output qif_golden_output[];                   /* (samples, QIF_OUTPUTS) */
extern const qif_spike qif_golden_spikes[];                    /* in the order in which the machine makes them */

#endif
