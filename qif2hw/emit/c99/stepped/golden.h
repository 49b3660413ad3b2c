/* Golden inputs of the bundle, and what they must give. */
#ifndef QIF_GOLDEN_H
#define QIF_GOLDEN_H

#include "qif.h"

extern const int32_t qif_golden_samples;
extern const int32_t qif_golden_frames;   /* of a sample: 1, the same in every step, or QIF_STEPS */
extern const int32_t qif_golden_inputs[]; /* (samples, frames, QIF_INPUTS) */
extern const int32_t qif_golden_sums[];   /* (samples, QIF_OUTPUTS) */
extern const int32_t qif_golden_class[];  /* (samples) */
/* Eight neurons a byte, the first in the highest bit: all spiking populations in a step, steps, samples. */
extern const uint8_t qif_golden_spikes[];
extern const int32_t qif_golden_population_count, qif_golden_populations[]; /* those that spike */

#endif
