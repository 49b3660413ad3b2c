/* What the neurons of a population receive through their synapses. */
#ifndef QIF_SYNAPSES_H
#define QIF_SYNAPSES_H

#include "qif.h"

/* Sum of weights, times what the sources sent, of a neuron in time step n (from 0).

   sent   what the source of the projection sent, (slots, size): step n stands in slot n % slots */
int64_t qif_received(const qif_projection *projection, const int32_t *sent, int32_t neuron, int32_t n);

#endif
