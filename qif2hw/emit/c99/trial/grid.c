/* Kicks through one table of kick and phase. */
#include "curve.h"

/* Shift of the phase in one row of the table. */
static int64_t in_row(const qif_grid *tables, int32_t row, int32_t phase)
{
    int32_t column = phase >> tables->phase_spacing;
    int64_t along = phase & (((int32_t)1 << tables->phase_spacing) - 1);
    const int32_t *left = tables->shift + row * tables->columns + column;
    int32_t rise = column + 1 < tables->columns ? left[1] - left[0] : 0;
    return between(left[0], rise, along, tables->phase_spacing);
}

static int64_t twisted(const qif_grid *tables, int32_t phase)
{
    int32_t column = phase >> tables->phase_spacing;
    int64_t along = phase & (((int32_t)1 << tables->phase_spacing) - 1);
    const int32_t *left = tables->twist + column;
    int32_t rise = column + 1 < tables->columns ? left[1] - left[0] : 0;
    return between(left[0], rise, along, tables->phase_spacing);
}

/* P + shift[a0, P] + a1 (twist[P] + twist[P']), bilinear; kicks beyond the table count as its outermost row. */
int32_t qif_kick_by_phase_and_weight(const qif_grid *tables, int32_t phase, int64_t a0, int64_t a1)
{
    int64_t middle, across, low, high, moved, late;
    int32_t row;
    if ((a0 == 0 && a1 == 0) || phase <= 0 || phase >= QIF_THRESHOLD) {
        return phase;
    }
    middle = (int64_t)((tables->rows - 1) / 2) << tables->kick_spacing;
    across = clip(a0 + middle, 0, 2 * middle);
    row = (int32_t)(across >> tables->kick_spacing);
    low = in_row(tables, row, phase);
    high = in_row(tables, (int32_t)smaller(row + 1, tables->rows - 1), phase);
    across &= ((int64_t)1 << tables->kick_spacing) - 1;
    moved = clip(phase + between(low, high - low, across, tables->kick_spacing), 0, QIF_THRESHOLD);
    late = rounded_shift(a1 * (twisted(tables, phase) + twisted(tables, (int32_t)moved)), QIF_LATE_FRACTION);
    return (int32_t)clip(moved + late, 1, QIF_THRESHOLD - 1);
}
