/* One step of one neuron from given registers. Reads lines population,neuron,first,second,x; prints spike,first,second. */
#include "csv.h"
#include "neurons.h"

int main(void)
{
    int32_t given[5];
    for (;;) {
        for (int k = 0; k < 5; k++) {
            if (csv_next(stdin, &given[k]) != (k < 4 ? CSV_MORE : CSV_LAST)) {
                return k == 0 ? 0 : 1;
            }
        }
        int32_t fired = qif_step(&qif_populations[given[0]], given[1], &given[2], &given[3], given[4]);
        printf("%ld,%ld,%ld\n", (long)fired, (long)given[2], (long)given[3]);
    }
}
