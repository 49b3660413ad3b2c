/* A network of QIF neurons that answers in spike times, as an integer machine.

   The machine is that of qif2hw/engine/spec.py, bit for bit; docs/machine.md of qif2hw describes it. The functions
   have the names that they have there. No heap, no floating point, no library. Registers are static: one network,
   one sample at a time.

   Everything that is constant stands in data.c; its sizes, the time grid and the widths in sizes.h. */
#ifndef QIF_H
#define QIF_H

#include <stdint.h>

#include "sizes.h"

/* A piecewise linear function on [0, end], its knots spaced like floating-point numbers. */
typedef struct {
    const int32_t *knots;
    int32_t count;
    int first_octave;  /* below 2^first_octave the knots are equally spaced */
    int mantissa_bits; /* 2^mantissa_bits knots per octave */
} qif_table;

/* Scales of the second moment of lateness. */
typedef struct {
    int32_t own_gain;
    int own_shift;
    int32_t commutator_gain;
    int commutator_shift;
    int32_t curvature_gain;
    int curvature_shift;
} qif_second_moment;

/* Scales of what arrives. */
typedef struct {
    int kick_bits; /* tables: counts of the kick per accumulated weight are 2^kick_bits */
    int32_t late_gain;
    int late_shift;
    int32_t flush_gain;
    int flush_shift;
    const qif_second_moment *second; /* 0 where the payload is the lateness alone */
} qif_scales;

/* The phase transition curve as a pair of tables: phase to v = -cot(theta), and back. */
typedef struct {
    qif_table to_potential; /* |v| of the distance to the nearer end of the cycle */
    qif_table to_phase;     /* that distance, of |v| */
    int32_t edge;           /* nearer than this to either end a kick does nothing */
} qif_cotangent;

/* The phase transition curve as one table of kick and phase. */
typedef struct {
    const int32_t *shift; /* (rows, columns) */
    const int32_t *twist; /* (columns) */
    int32_t rows;
    int32_t columns;
    int phase_spacing; /* knots lie 2^phase_spacing counts apart */
    int kick_spacing;
} qif_grid;

/* The neuron as a plane vector, which a step rotates. */
typedef struct {
    int32_t cosine, sine;           /* of the angle of one step */
    int32_t back_cosine, back_sine; /* of the angle from the trial's end to the end of its last step */
    int trig_bits;                  /* their fraction bits */
    int shear_drop;                 /* lowest bits that the shear's products leave out */
    int32_t kick_gain;
    int kick_shift;
    int32_t tick_gain;
    const int32_t *angles; /* atan(2^-i) */
    int angle_count;
} qif_plane;

typedef enum { QIF_COTANGENT, QIF_GRID, QIF_PLANE } qif_form;

typedef struct {
    int32_t size;
    int32_t depth;        /* its clock runs that many steps behind the machine's */
    int32_t registers;    /* place of its registers among all */
    const int32_t *start; /* registers before the first step: all phases, or all x, then all y */
    int32_t start_count;
    int32_t overshoot; /* phase counts from the trial's end to the end of its last step */
    int flush_drop;    /* low bits dropped from the phase sent in the flush step */
    int packed_bits;   /* if positive, one accumulator holds both sums */
    int one_message;   /* not packed: 1 if a spike is one message, 1 + its payload */
    int32_t output;    /* place of its neurons among the outputs; -1 if it is not read out */
    int32_t projections, projection_count; /* place and number of the projections onto it */
    qif_scales scales;
    qif_form form;
    union {
        const qif_cotangent *cotangent;
        const qif_grid *grid;
        const qif_plane *plane;
    } curve;
} qif_population;

/* Synapses, in the order in which spikes ask for them. */
typedef struct {
    int32_t source; /* the group that sends: input groups first, then populations */
    int32_t post;   /* number of neurons that receive */
    int32_t unit;   /* what a weight of 1 counts */
    const int8_t *weight;
    const int32_t *begin;      /* source j has synapses begin[j] to begin[j + 1] - 1; 0: all to all, (pre, post) */
    const qif_index *neuron;   /* whom a synapse reaches; 0 if all to all */
} qif_projection;

extern const qif_population qif_populations[QIF_POPULATIONS]; /* sorted by depth */
extern const qif_projection qif_projections[QIF_PROJECTIONS];
extern const int32_t qif_senders[QIF_GROUPS + 1]; /* group k are the senders from [k] to [k + 1] - 1 */

/* The first spike of an output neuron. */
typedef struct {
    int32_t step;     /* machine step; -1 if it did not fire */
    int32_t lateness; /* in ticks; 0 if it did not fire */
    int32_t flush;    /* the phase that it sent in the flush step */
} qif_output;

/* Told about every spike. */
typedef void (*qif_observer)(int32_t population, int32_t neuron, int32_t step, int32_t lateness);

/* Runs one sample.

   step, lateness   of the spike of each input channel, (QIF_INPUTS)
   output           what the output neurons did, (QIF_OUTPUTS)
   observer         called for every spike; 0 if nobody wants to know */
void qif_run(const int32_t *step, const int32_t *lateness, qif_output *output, qif_observer observer);

#endif
