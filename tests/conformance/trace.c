/* Single neurons of an emitted program. Reads the lines of a kit's stimuli.csv, without their header; prints those of
   traces.csv. */
#include "csv.h"
#include "machine.c"

static qif_output output[QIF_OUTPUTS];

int main(void)
{
    int32_t given[7];
    for (;;) {
        for (int k = 0; k < 7; k++) {
            if (csv_next(stdin, &given[k]) != (k < 6 ? CSV_MORE : CSV_LAST)) {
                return k == 0 ? 0 : 1;
            }
        }
        const qif_population *p = &qif_populations[given[1]];
        if (given[3] == 1) {
            start(output);
            for (int32_t local_step = 1 - p->depth; local_step < 1; local_step++) {
                step(p, given[2], local_step, 0, 0, 0);
            }
        }
        message m = step(p, given[2], given[3], given[4], given[5], given[6]);
        const int32_t *first = &registers[p->registers + given[2]];
        printf("%ld,%ld,%ld,%ld,%ld,%ld\n", (long)given[0], (long)given[3], (long)m.flag, (long)m.payload, (long)first[0],
               p->form == QIF_PLANE ? (long)first[p->size] : 0L);
    }
}
