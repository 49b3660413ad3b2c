/* Runs the golden inputs: every spike must be the one expected. Names the first difference. */
#include <stdio.h>

#include "golden.h"
#include "qif.h"

static qif_output output[QIF_OUTPUTS];
static int32_t sample, spikes, wrong;

static void check_spike(int32_t population, int32_t neuron, int32_t step, int32_t lateness)
{
    const qif_spike *due = spikes < qif_golden_spike_count ? &qif_golden_spikes[spikes] : 0;
    int same = due != 0 && due->sample == sample && due->population == population && due->neuron == neuron &&
               due->step == step && due->lateness == lateness;
    if (!same && !wrong) {
        printf("sample %ld: neuron %ld of population %ld spikes in step %ld, late by %ld\n", (long)sample,
               (long)neuron, (long)population, (long)step, (long)lateness);
        if (due != 0) {
            printf("due is sample %ld: neuron %ld of population %ld in step %ld, late by %ld\n", (long)due->sample,
                   (long)due->neuron, (long)due->population, (long)due->step, (long)due->lateness);
        }
        wrong = 1;
    }
    spikes++;
}

static void check_output(int32_t i, const qif_output *due)
{
    const qif_output *got = &output[i];
    if (!wrong && (got->step != due->step || got->lateness != due->lateness || got->flush != due->flush)) {
        printf("sample %ld, output %ld: step %ld, lateness %ld, flush %ld; due are %ld, %ld, %ld\n", (long)sample,
               (long)i, (long)got->step, (long)got->lateness, (long)got->flush, (long)due->step, (long)due->lateness,
               (long)due->flush);
        wrong = 1;
    }
}

int main(void)
{
    for (sample = 0; sample < qif_golden_samples; sample++) {
        int32_t first = sample * QIF_INPUTS;
        qif_run(qif_golden_step + first, qif_golden_lateness + first, output, check_spike);
        for (int32_t i = 0; i < QIF_OUTPUTS; i++) {
            check_output(i, &qif_golden_output[sample * QIF_OUTPUTS + i]);
        }
    }
    if (!wrong && spikes != qif_golden_spike_count) {
        printf("%ld spikes are missing\n", (long)(qif_golden_spike_count - spikes));
        wrong = 1;
    }
    printf("%s: %ld golden inputs, %ld spikes\n", wrong ? "DIFFERENT" : "equal", (long)qif_golden_samples,
           (long)spikes);
    return wrong;
}
