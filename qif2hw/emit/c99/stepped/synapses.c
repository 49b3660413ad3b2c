#include "synapses.h"

/* What reaches the synapses from sender j in time step n. */
static int32_t arriving(const qif_projection *q, const int32_t *sent, int32_t j, int32_t n)
{
    const qif_group *source = &qif_groups[q->source];
    int32_t delay = q->delay == 0 ? 0 : q->delay[j];
    return delay > n ? 0 : sent[(n - delay) % source->slots * source->size + j];
}

static int64_t dense(const qif_projection *q, const int32_t *sent, int32_t neuron, int32_t n)
{
    int32_t senders = qif_groups[q->source].size;
    const int8_t *weight = q->weight + neuron * senders;
    int64_t total = 0;
    for (int32_t j = 0; j < senders; j++) {
        total += (int64_t)weight[j] * arriving(q, sent, j, n);
    }
    return total;
}

static int64_t sparse(const qif_projection *q, const int32_t *sent, int32_t neuron, int32_t n)
{
    int64_t total = 0;
    for (int32_t s = q->begin[neuron]; s < q->begin[neuron + 1]; s++) {
        total += (int64_t)q->weight[s] * arriving(q, sent, q->pre[s], n);
    }
    return total;
}

static int64_t conv2d(const qif_projection *q, const int32_t *sent, int32_t neuron, int32_t n)
{
    const qif_conv2d *c = q->conv;
    int32_t out = neuron / (c->out_height * c->out_width);
    int32_t top = neuron / c->out_width % c->out_height * c->stride[0] - c->padding[0];
    int32_t left = neuron % c->out_width * c->stride[1] - c->padding[1];
    int32_t channels = c->in_channels / c->groups;
    int32_t first = out / (c->out_channels / c->groups) * channels;
    const int8_t *weight = q->weight + out * channels * c->kernel[0] * c->kernel[1];
    int64_t total = 0;
    for (int32_t channel = first; channel < first + channels; channel++) {
        for (int32_t k = 0; k < c->kernel[0]; k++) {
            int32_t row = top + k * c->dilation[0];
            for (int32_t l = 0; l < c->kernel[1]; l++, weight++) {
                int32_t column = left + l * c->dilation[1];
                if (row >= 0 && row < c->in_height && column >= 0 && column < c->in_width) {
                    int32_t j = (channel * c->in_height + row) * c->in_width + column;
                    total += (int64_t)*weight * arriving(q, sent, j, n);
                }
            }
        }
    }
    return total;
}

int64_t qif_received(const qif_projection *q, const int32_t *sent, int32_t neuron, int32_t n)
{
    switch (q->kind) {
    case QIF_DENSE:
        return 2 * dense(q, sent, neuron, n);
    case QIF_SPARSE:
        return 2 * sparse(q, sent, neuron, n);
    default:
        return 2 * conv2d(q, sent, neuron, n);
    }
}
