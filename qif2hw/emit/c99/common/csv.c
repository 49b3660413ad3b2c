#include "csv.h"

static int after_spaces(FILE *file, int c)
{
    while (c == ' ' || c == '\t' || c == '\r') {
        c = getc(file);
    }
    return c;
}

csv_found csv_next(FILE *file, int32_t *value)
{
    int64_t number = 0;
    int negative, digits = 0, c = after_spaces(file, getc(file));
    if (c == EOF) {
        return CSV_END;
    }
    if (c == '\n') {
        return CSV_EMPTY;
    }
    negative = c == '-';
    if (c == '-' || c == '+') {
        c = getc(file);
    }
    for (; c >= '0' && c <= '9' && number <= INT32_MAX; c = getc(file)) {
        number = 10 * number + (c - '0');
        digits++;
    }
    c = after_spaces(file, c);
    if (digits == 0 || number > INT32_MAX || (c != ',' && c != '\n' && c != EOF)) {
        return CSV_WRONG;
    }
    *value = (int32_t)(negative ? -number : number);
    return c == ',' ? CSV_MORE : CSV_LAST;
}
