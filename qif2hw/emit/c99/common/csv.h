/* Lines of integers, separated by commas. */
#ifndef QIF_CSV_H
#define QIF_CSV_H

#include <stdint.h>
#include <stdio.h>

typedef enum {
    CSV_MORE,  /* a number, and a comma after it */
    CSV_LAST,  /* a number, the last one of its line */
    CSV_EMPTY, /* a line without numbers */
    CSV_END,   /* the end of the file */
    CSV_WRONG  /* something that is no number of 32 bits */
} csv_found;

/* Reads the next number. */
csv_found csv_next(FILE *file, int32_t *value);

#endif
