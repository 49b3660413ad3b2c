/* Runs a file of encoded inputs.

   ./network inputs.csv            prints a line per sample: step,lateness,flush of each output neuron
   ./network --spikes inputs.csv   prints a line per spike: sample,population,neuron,step,lateness

   A line of inputs.csv is a sample: step,lateness of each input channel. */
#include <stdio.h>
#include <string.h>

#include "csv.h"
#include "qif.h"

static int32_t step[QIF_INPUTS], lateness[QIF_INPUTS];
static qif_output output[QIF_OUTPUTS];
static long samples, lines;

static void print_spike(int32_t population, int32_t neuron, int32_t at, int32_t late)
{
    printf("%ld,%ld,%ld,%ld,%ld\n", samples, (long)population, (long)neuron, (long)at, (long)late);
}

static void print_output(void)
{
    for (int32_t i = 0; i < QIF_OUTPUTS; i++) {
        const char *end = i + 1 < QIF_OUTPUTS ? "," : "\n";
        printf("%ld,%ld,%ld%s", (long)output[i].step, (long)output[i].lateness, (long)output[i].flush, end);
    }
}

/* Reads a sample; 1 if there was one, 0 at the end of the file, -1 if a line is wrong. */
static int read_sample(FILE *file)
{
    csv_found found;
    do {
        lines++;
        found = csv_next(file, &step[0]);
    } while (found == CSV_EMPTY);
    if (found == CSV_END) {
        return 0;
    }
    for (int32_t k = 0; k < 2 * QIF_INPUTS; k++) {
        int32_t *value = k % 2 ? &lateness[k / 2] : &step[k / 2];
        int32_t low = k % 2 ? 0 : 1, high = k % 2 ? QIF_TICKS - 1 : QIF_STEPS;
        if (k > 0) {
            found = csv_next(file, value);
        }
        if (found != (k + 1 < 2 * QIF_INPUTS ? CSV_MORE : CSV_LAST) || *value < low || *value > high) {
            return -1;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    int all = argc == 3 && strcmp(argv[1], "--spikes") == 0, found;
    FILE *file;
    if (argc != 2 + all) {
        fprintf(stderr, "usage: network [--spikes] inputs.csv\n");
        return 2;
    }
    file = fopen(argv[argc - 1], "r");
    if (file == 0) {
        fprintf(stderr, "%s: cannot be read\n", argv[argc - 1]);
        return 2;
    }
    while ((found = read_sample(file)) > 0) {
        qif_run(step, lateness, output, all ? print_spike : 0);
        if (!all) {
            print_output();
        }
        samples++;
    }
    fclose(file);
    if (found < 0) {
        fprintf(
            stderr, "%s: line %ld: step (1 to %ld) and lateness (0 to %ld) of %ld inputs are needed\n",
            argv[argc - 1], lines, (long)QIF_STEPS, (long)(QIF_TICKS - 1), (long)QIF_INPUTS);
        return 2;
    }
    return 0;
}
