/* What a neuron does with its registers in a step: one function for each kind. */
#ifndef QIF_NEURONS_H
#define QIF_NEURONS_H

#include "qif.h"

/* Registers before the first step: the reset state. */
void qif_start_of(const qif_population *population, int32_t neuron, int32_t *first, int32_t *second);

/* One step with the input sum x; 1 if the neuron spikes. */
int32_t qif_step(const qif_population *population, int32_t neuron, int32_t *first, int32_t *second, int64_t x);

/* Registers of a neuron of this kind, 1 or 2. */
static inline int32_t qif_registers(qif_arithmetic arithmetic)
{
    return arithmetic == QIF_PLANE || arithmetic == QIF_CUBA ? 2 : 1;
}

/* The bias of a neuron. */
static inline int32_t qif_bias(const qif_population *population, int32_t neuron)
{
    return population->bias[neuron / population->bias_size];
}

#endif
