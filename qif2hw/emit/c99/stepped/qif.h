/* A network of neurons in time steps, as an integer machine: images in, accumulated outputs out.

   The machine is that of qif2hw/engine/stepped/spec.py, bit for bit; the functions have the names that they have
   there. No heap, no floating point, no library. Registers are static: one network, one sample at a time.

   Everything that is constant stands in data.c; its sizes and the widths in sizes.h. */
#ifndef QIF_H
#define QIF_H

#include <stdint.h>

#include "sizes.h"

/* Something that sends: an input group or a population. */
typedef struct {
    int32_t size;
    int32_t largest; /* largest magnitude of an input; 1 for a population */
    int32_t slots;   /* how many of the last steps are kept, for synapses with delays */
    int32_t sent;    /* place of what it sent, (slots, size) */
} qif_group;

/* A convolution, padded with zeros; pairs are (vertical, horizontal). */
typedef struct {
    int32_t in_channels, in_height, in_width;
    int32_t out_channels, out_height, out_width;
    int32_t kernel[2], stride[2], padding[2], dilation[2];
    int32_t groups;
} qif_conv2d;

typedef enum { QIF_DENSE, QIF_SPARSE, QIF_CONV2D } qif_synapses;

/* Synapses from one group onto one population. */
typedef struct {
    int32_t source; /* the group that sends: input groups first, then populations */
    int exponent;   /* the sum of weights is shifted left by that, right if negative */
    const int8_t *weight;   /* half of each weight: all are even */
    const uint16_t *delay;  /* by sender, in time steps; 0: none */
    qif_synapses kind;
    const int32_t *begin;   /* sparse: neuron i has synapses begin[i] to begin[i + 1] - 1 */
    const qif_index *pre;   /* sparse: who sends to a synapse */
    const qif_conv2d *conv;
} qif_projection;

/* The exact QIF neuron as a plane vector (p, q) with potential 2^QIF_SCALE_BITS p / q. */
typedef struct {
    int32_t decay;
    int coupling_shift;
    const int32_t *coupling, *threshold, *reset; /* by channel, here and below */
} qif_plane_step;

/* Euler's QIF neuron. */
typedef struct {
    const int32_t *curvature, *distance, *threshold, *reset;
} qif_euler_step;

/* The LIF neuron. */
typedef struct {
    int32_t leak;
    const int32_t *threshold, *reset;
} qif_leak_step;

/* The CUBA neuron; where it never spikes, the threshold is QIF_CUBA_LARGEST. */
typedef struct {
    const int32_t *current_decay, *voltage_decay, *threshold;
} qif_cuba_step;

typedef enum { QIF_PLANE, QIF_EULER, QIF_LEAK, QIF_CUBA, QIF_ADD_UP } qif_arithmetic;

typedef struct {
    int32_t size;
    int32_t channel_size; /* neurons of a channel */
    int32_t registers;    /* place of its registers among all: the first of every neuron, then the second */
    const int32_t *bias;  /* by channel or by neuron */
    int32_t bias_size;    /* neurons that share an entry of it */
    int32_t projections, projection_count; /* place and number of the projections onto it */
    qif_arithmetic arithmetic;
    union {
        const qif_plane_step *plane;
        const qif_euler_step *euler;
        const qif_leak_step *leak;
        const qif_cuba_step *cuba;
    } own;
} qif_population;

extern const qif_group qif_groups[QIF_GROUPS]; /* input groups, then populations */
extern const qif_population qif_populations[QIF_POPULATIONS]; /* sorted by depth */
extern const qif_projection qif_projections[QIF_PROJECTIONS];
extern const int32_t qif_outputs[QIF_READOUTS];       /* populations that are read out */
extern const int64_t qif_output_gains[QIF_OUTPUTS]; /* what makes outputs in different units comparable */

/* Before the first step of a sample. */
void qif_start(void);

/* One time step. frame: values of the input groups, one after the other, (QIF_INPUTS). */
void qif_advance(const int32_t *frame);

/* What a group sent in the step before, (size): spikes 0 and 1 of a population. */
const int32_t *qif_sent(int32_t group);

/* What is read out after the last step, (QIF_OUTPUTS). */
void qif_sums(int32_t *sums);

/* The class of these outputs: the largest, the first of equals. */
int32_t qif_class(const int32_t *sums);

#endif
