/* Runs a file of encoded inputs.

   ./network inputs.csv            prints a line per sample: the accumulated outputs, then the class
   ./network --spikes inputs.csv   prints a line per spike: sample,population,neuron,step

   A line of inputs.csv is a sample: the values of all inputs, or of all inputs in every time step. */
#include <stdio.h>
#include <string.h>

#include "csv.h"
#include "qif.h"

static int32_t frame[QIF_INPUTS], sums[QIF_OUTPUTS];
static long samples, lines;

static void print_spikes(int32_t step)
{
    for (int32_t k = 0; k < QIF_POPULATIONS; k++) {
        const int32_t *sent = qif_sent(QIF_INPUT_GROUPS + k);
        for (int32_t i = 0; i < qif_populations[k].size; i++) {
            if (sent[i]) {
                printf("%ld,%ld,%ld,%ld\n", samples, (long)k, (long)i, (long)step);
            }
        }
    }
}

static void print_outputs(void)
{
    qif_sums(sums);
    for (int32_t i = 0; i < QIF_OUTPUTS; i++) {
        printf("%ld,", (long)sums[i]);
    }
    printf("%ld\n", (long)qif_class(sums));
}

/* Reads a frame, whose first number may have been found already; CSV_WRONG if a number is not what is needed. */
static csv_found read_frame(FILE *file, csv_found found, int begun)
{
    int32_t *value = frame;
    for (int32_t group = 0; group < QIF_INPUT_GROUPS; group++) {
        for (int32_t j = 0; j < qif_groups[group].size; j++, value++) {
            if (!begun) {
                found = csv_next(file, value);
            }
            begun = 0;
            if ((found != CSV_MORE && (found != CSV_LAST || value + 1 < frame + QIF_INPUTS)) ||
                *value > qif_groups[group].largest || *value < -qif_groups[group].largest) {
                return CSV_WRONG;
            }
        }
    }
    return found;
}

/* Reads and runs a sample; 1 if there was one, 0 at the end of the file, -1 if a line is wrong. */
static int run_sample(FILE *file, int all)
{
    csv_found found;
    int frames;
    do {
        lines++;
        found = csv_next(file, &frame[0]);
    } while (found == CSV_EMPTY);
    if (found == CSV_END) {
        return 0;
    }
    found = read_frame(file, found, 1);
    frames = found == CSV_MORE;
    qif_start();
    for (int32_t n = 0; n < QIF_STEPS && found != CSV_WRONG; n++) {
        if (n > 0 && frames) {
            found = found == CSV_MORE ? read_frame(file, found, 0) : CSV_WRONG;
        }
        if (found != CSV_WRONG) {
            qif_advance(frame);
            if (all) {
                print_spikes(n);
            }
        }
    }
    return found == CSV_LAST ? 1 : -1;
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
    while ((found = run_sample(file, all)) > 0) {
        if (!all) {
            print_outputs();
        }
        samples++;
    }
    fclose(file);
    if (found < 0) {
        fprintf(
            stderr, "%s: line %ld: %ld inputs are needed, or those of %ld time steps, none larger than its group's\n",
            argv[argc - 1], lines, (long)QIF_INPUTS, (long)QIF_STEPS);
        return 2;
    }
    return 0;
}
