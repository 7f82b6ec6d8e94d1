/* SPDX-License-Identifier: ISC */
#include "http/hopbyhop.h"

#define REQUEST (HOP_REQUEST_10 | HOP_REQUEST_11)
#define RESPONSE (HOP_RESPONSE_10 | HOP_RESPONSE_11)
#define BOTH (REQUEST | RESPONSE)
#define OLD (HOP_REQUEST_10 | HOP_RESPONSE_10)

/* Where each goes.  A 1.1 client keeps its own chunks and the server's, and so what describes them;
 * of a request's Transfer-Encoding an HTTP/1.0 client has none. */
const uint8_t hop_sides[FIELD_COUNT] = {
    [FIELD_CONNECTION] = BOTH,
    [FIELD_KEEP_ALIVE] = BOTH,
    [FIELD_PROXY_CONNECTION] = BOTH,
    [FIELD_PROXY_AUTHENTICATE] = BOTH,
    [FIELD_PROXY_AUTHORIZATION] = BOTH,
    [FIELD_TE] = BOTH,
    [FIELD_TRAILER] = OLD,
    [FIELD_TRAILERS] = OLD,
    [FIELD_TRANSFER_ENCODING] = OLD,
    [FIELD_UPGRADE] = BOTH,
    [FIELD_EXPECT] = HOP_REQUEST_10, /* 9110 10.1.1 */
};

static bool is_vital(enum field_id id)
{
    return id == FIELD_HOST || id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING ||
           id == FIELD_AUTHORIZATION || id == FIELD_COOKIE;
}

static bool is_option(struct slice element)
{
    return slice_is_lower(element, "close") || slice_is_lower(element, "keep-alive");
}

void hop_add_options(struct hop_options *options, struct slice value)
{
    struct slice element;

    if (slice_is_lower(value, "close")) { /* as most say */
        options->close = true;
        return;
    }
    if (slice_is_lower(value, "keep-alive")) {
        options->keep_alive = true;
        return;
    }
    options->list = true;
    while (field_element(&value, &element)) {
        if (slice_is_lower(element, "close"))
            options->close = true;
        else if (slice_is_lower(element, "keep-alive"))
            options->keep_alive = true;
        else if (!head_is_token(element) || options->names == HOP_NAMES_MAX)
            options->odd = true;
        else {
            options->names++;
            options->names_vital |= is_vital(field_identify(element));
        }
    }
}

void hop_cut_line(struct hop_cut *cut, const char *head, const char *line, const char *next)
{
    uint32_t from = (uint32_t)(line - head);

    if (cut->to == 0)
        *cut = (struct hop_cut){ .from = from, .all = true };
    else
        cut->all &= cut->to == from;
    cut->to = (uint32_t)(next - head);
}

static void collect_names(struct hop_filter *filter, struct slice value)
{
    struct slice element;

    while (field_element(&value, &element))
        if (filter->count < HOP_NAMES_MAX && !is_option(element))
            filter->names[filter->count++] = field_hash(element);
}

void hop_filter_init(struct hop_filter *filter, enum hop_side side, enum field_id stays, const char *lines,
                     const char *end)
{
    struct head_field field;
    bool lenient = false;

    filter->side = side;
    filter->stays = stays;
    filter->count = 0;
    for (; lines < end && head_field(lines, end, &field, &lenient) == HEAD_DONE; lines = field.next)
        if (field_identify(field.name) == FIELD_CONNECTION)
            collect_names(filter, field.value);
}

/* Vital fields never go because Connection names them: a response that does so is not trusted, a
 * request is not adapted at all. */
bool hop_filter_drops(const struct hop_filter *filter, const struct head_field *field, enum field_id id)
{
    uint64_t hash;

    if (id != FIELD_OTHER && id == filter->stays)
        return false;
    if (hop_by_hop(id, filter->side))
        return true;
    if (filter->count == 0 || is_vital(id))
        return false;
    hash = field_hash(field->name);
    for (unsigned i = 0; i < filter->count; i++)
        if (filter->names[i] == hash)
            return true;
    return false;
}
