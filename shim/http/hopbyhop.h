/* SPDX-License-Identifier: ISC */
/* hopbyhop: which fields are about the connection and not about the message (9110 7.6.1).  They go
 * when a one-shot exchange is adapted, because the connection is not what the client thinks it is. */
#ifndef HOLDFAST_HTTP_HOPBYHOP_H
#define HOLDFAST_HTTP_HOPBYHOP_H

#include "base/slice.h"
#include "http/field.h"
#include "http/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Direction, and the version that the client spoke. */
enum hop_side {
    HOP_REQUEST_10 = 1,
    HOP_REQUEST_11 = 2,
    HOP_RESPONSE_10 = 4,
    HOP_RESPONSE_11 = 8,
};

/* More names than this in the Connection fields of one head count as `odd`. */
#define HOP_NAMES_MAX 16

/* What a head's Connection fields say, gathered line by line.  Zeroed at first. */
struct hop_options {
    bool close, keep_alive;
    bool list;        /* a field that is not just one of these */
    bool names_vital; /* Host, Content-Length, Transfer-Encoding, Authorization or Cookie */
    bool odd;         /* an option that is no token, or too many */
    uint8_t names;    /* fields named, HOP_NAMES_MAX at most */
};

void hop_add_options(struct hop_options *options, struct slice value);

/* The next field of a kind that is known here, from *line on; *line is where it begins, or where the blank line does: that
 * one has an empty name.  *lenient is set, never cleared, by a line that was bare of its CR. */
static inline __attribute__((always_inline)) enum head_result
hop_next_known(const char **line, const char *end, struct head_field *field, enum field_id *id, bool *lenient)
{
    for (;;) {
        enum head_result result = head_field_inline(*line, end, field, lenient);

        *id = FIELD_OTHER;
        if (result != HEAD_DONE || field->name.len == 0)
            return result;
        *id = field_identify(field->name);
        if (*id != FIELD_OTHER)
            return HEAD_DONE;
        *line = field->next;
    }
}

/* What a field says of the connection and of the body's length, on either side.  False: the field is another one. */
static inline bool hop_read_framing(struct hop_options *options, struct field_body *body, enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_CONNECTION:
        hop_add_options(options, value);
        return true;
    case FIELD_CONTENT_LENGTH:
        field_add_length(body, value);
        return true;
    case FIELD_TRANSFER_ENCODING:
        field_add_coding(body, value);
        return true;
    default:
        return false;
    }
}

/* The lines that may have to go lie in [from, to) of a head; from == to: none. */
struct hop_cut {
    uint32_t from, to;
    bool all; /* there are no others in between */
};

/* Does a field of this kind go, or change, on that side whatever Connection says? */
extern const uint8_t hop_sides[FIELD_COUNT];
static inline bool hop_by_hop(enum field_id id, enum hop_side side)
{
    return hop_sides[id] & side;
}

void hop_cut_line(struct hop_cut *cut, const char *head, const char *line, const char *next);

/* What goes out of one head. */
struct hop_filter {
    enum hop_side side;
    enum field_id stays; /* the one that stays here although hop-by-hop, or FIELD_OTHER */
    uint8_t count;
    uint64_t names[HOP_NAMES_MAX]; /* hashes of the names in the Connection fields */
};

/* `lines` to `end`: whole fields that parsed well, the Connection fields among them. */
void hop_filter_init(struct hop_filter *filter, enum hop_side side, enum field_id stays, const char *lines,
                     const char *end);
bool hop_filter_drops(const struct hop_filter *filter, const struct head_field *field, enum field_id id);

#endif
