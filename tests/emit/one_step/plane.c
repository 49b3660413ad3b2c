/* Functions of plane vectors. Reads lines x,y,a0,a1,a2,drop; prints the vector sheared, normalised after that, and turned back
   if it crossed, with whether it did. */
#include "csv.h"
#include "plane.h"

int main(void)
{
    int32_t given[6];
    for (;;) {
        for (int k = 0; k < 6; k++) {
            if (csv_next(stdin, &given[k]) != (k < 5 ? CSV_MORE : CSV_LAST)) {
                return k == 0 ? 0 : 1;
            }
        }
        qif_vector v = {given[0], given[1]}, sheared = qif_shear(v, given[2], given[3], given[4], given[5]);
        qif_vector short_one = qif_normalise(sheared);
        int fired = qif_cross(&v);
        printf("%ld,%ld,%ld,%ld,%ld,%ld,%d\n", (long)sheared.x, (long)sheared.y, (long)short_one.x, (long)short_one.y,
               (long)v.x, (long)v.y, fired);
    }
}
