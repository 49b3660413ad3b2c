/* One step of one neuron from given registers. Reads lines population,neuron,local step,first,second,a0,a1,a2; prints
   flag,payload,first,second. */
#include "csv.h"
#include "machine.c"

int main(void)
{
    int32_t given[8];
    for (;;) {
        for (int k = 0; k < 8; k++) {
            if (csv_next(stdin, &given[k]) != (k < 7 ? CSV_MORE : CSV_LAST)) {
                return k == 0 ? 0 : 1;
            }
        }
        const qif_population *p = &qif_populations[given[0]];
        int32_t *first = &registers[p->registers + given[1]];
        int32_t *second = first + (p->form == QIF_PLANE ? p->size : 0);
        *second = given[4];
        *first = given[3];
        message m = step(p, given[1], given[2], given[5], given[6], given[7]);
        printf("%ld,%ld,%ld,%ld\n", (long)m.flag, (long)m.payload, (long)*first, (long)*second);
    }
}
