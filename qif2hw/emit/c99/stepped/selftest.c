/* Runs the golden inputs: every spike must be the one expected. Names the first difference. */
#include <stdio.h>

#include "golden.h"
#include "qif.h"

static int32_t sums[QIF_OUTPUTS];
static const uint8_t *due = qif_golden_spikes;
static long spikes;
static int wrong;

static void check_spikes(int32_t sample, int32_t step, int32_t population)
{
    const int32_t *sent = qif_sent(QIF_INPUT_GROUPS + population);
    int32_t size = qif_populations[population].size;
    for (int32_t i = 0; i < size; i++) {
        int expected = due[i / 8] >> (7 - i % 8) & 1;
        spikes += sent[i];
        if (sent[i] != expected && !wrong) {
            printf("sample %ld, step %ld: neuron %ld of population %ld %s\n", (long)sample, (long)step, (long)i,
                   (long)population, expected ? "is silent" : "spikes");
            wrong = 1;
        }
    }
    due += (size + 7) / 8;
}

static void check_outputs(int32_t sample)
{
    const int32_t *expected = qif_golden_sums + sample * QIF_OUTPUTS;
    qif_sums(sums);
    for (int32_t i = 0; i < QIF_OUTPUTS; i++) {
        if (sums[i] != expected[i] && !wrong) {
            printf("sample %ld: output %ld is %ld, %ld is due\n", (long)sample, (long)i, (long)sums[i],
                   (long)expected[i]);
            wrong = 1;
        }
    }
    if (qif_class(sums) != qif_golden_class[sample] && !wrong) {
        printf("sample %ld: class %ld, %ld is due\n", (long)sample, (long)qif_class(sums),
               (long)qif_golden_class[sample]);
        wrong = 1;
    }
}

int main(void)
{
    const int32_t *frame = qif_golden_inputs;
    for (int32_t sample = 0; sample < qif_golden_samples; sample++) {
        qif_start();
        for (int32_t step = 0; step < QIF_STEPS; step++) {
            qif_advance(frame);
            for (int32_t k = 0; k < qif_golden_population_count; k++) {
                check_spikes(sample, step, qif_golden_populations[k]);
            }
            if (step + 1 == QIF_STEPS || qif_golden_frames > 1) {
                frame += QIF_INPUTS;
            }
        }
        check_outputs(sample);
    }
    printf("%s: %ld golden inputs, %ld spikes\n", wrong ? "DIFFERENT" : "equal", (long)qif_golden_samples, spikes);
    return wrong;
}
