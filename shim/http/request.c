/* SPDX-License-Identifier: ISC */
#include "http/request.h"

/* A Host made from the target of a request that has none: a DNS name, a colon and a port.  Counted in
 * EXCHANGE_REQUEST_GROWTH. */
#define AUTHORITY_MAX 260u

/* A part of one byte at least, followed by a space. */
static enum request_line follow_part(enum request_line part, const char *bytes, size_t len, size_t *at)
{
    size_t i = *at;
    bool first = i == 0 || bytes[i - 1] == ' ';

    if (part == REQUEST_LINE_METHOD)
        while (i < len && head_is_token_char(bytes[i]))
            i++;
    else
        i = (size_t)(scan_target(bytes + i, bytes + len) - bytes);
    first &= i == *at;
    *at = i;
    if (i == len)
        return part;
    if (first || bytes[i] != ' ')
        return REQUEST_LINE_REFUSED;
    *at = i + 1;
    return part + 1;
}

static enum request_line follow_version(const char *bytes, size_t len, size_t at)
{
    size_t have = len - at;

    if (have < 8)
        return memcmp(bytes + at, "HTTP/1.", have < 7 ? have : 7) == 0 ? REQUEST_LINE_VERSION
                                                                       : REQUEST_LINE_REFUSED;
    if (memcmp(bytes + at, "HTTP/1.", 7) != 0)
        return REQUEST_LINE_REFUSED;
    return bytes[at + 7] >= '0' && bytes[at + 7] <= '9' ? REQUEST_LINE_DONE : REQUEST_LINE_REFUSED;
}

static bool begins(const char *bytes, size_t len, struct slice prefix)
{
    return len >= prefix.len && memcmp(bytes, prefix.data, prefix.len) == 0;
}

static enum reason refused_line(const char *bytes, size_t len)
{
    if (begins(bytes, len, SLICE("\x16\x03")))
        return REASON_tls;
    if (begins(bytes, len, SLICE("PRI * HTTP/2")))
        return REASON_http2;
    return bytes[0] == '\r' || bytes[0] == '\n' ? REASON_ambiguous_request : REASON_not_http;
}

enum request_line request_line_follow(enum request_line part, const char *bytes, size_t len,
                                      uint32_t *scanned, enum reason *reason)
{
    size_t at = *scanned;

    *reason = REASON_none;
    if (len == 1 && bytes[0] == 0x16)
        return REQUEST_LINE_METHOD; /* TLS, if the next byte says so, too */
    while (part < REQUEST_LINE_VERSION) {
        enum request_line next = follow_part(part, bytes, len, &at);

        if (next == part)
            break;
        part = next;
    }
    if (part == REQUEST_LINE_VERSION)
        part = follow_version(bytes, len, at);
    *scanned = (uint32_t)at;
    if (part == REQUEST_LINE_REFUSED)
        *reason = refused_line(bytes, len);
    else if (part == REQUEST_LINE_DONE && begins(bytes, len, SLICE("CONNECT "))) {
        *reason = REASON_connect_method;
        return REQUEST_LINE_REFUSED;
    }
    return part;
}

/* 9110 9.2.2 and 9.3; PURGE is what caches understand. */
static void read_method(struct slice method, struct request *facts)
{
    bool known = slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")) ||
                 slice_equal(method, SLICE("OPTIONS")) || slice_equal(method, SLICE("TRACE")) ||
                 slice_equal(method, SLICE("DELETE"));

    facts->head_method = slice_equal(method, SLICE("HEAD"));
    facts->idempotent = known || slice_equal(method, SLICE("PUT"));
    facts->bodiless = known || slice_equal(method, SLICE("PURGE"));
}

/* 9110 4.2: the authority of scheme://[userinfo@]authority[/path]; an empty slice where there is none. */
static struct slice target_authority(struct slice target)
{
    const char *end = target.data + target.len, *p = target.data, *start;

    while (p < end && head_is_token_char(*p))
        p++;
    if (p == target.data || end - p < 3 || memcmp(p, "://", 3) != 0)
        return (struct slice){ p, 0 };
    start = p += 3;
    for (; p < end && *p != '/' && *p != '?' && *p != '#'; p++)
        if (*p == '@')
            start = p + 1;
    return (struct slice){ start, (size_t)(p - start) };
}

static size_t find_version(const char *bytes, size_t len)
{
    const char *target = (const char *)memchr(bytes, ' ', len) + 1;

    return (size_t)((const char *)memchr(target, ' ', (size_t)(bytes + len - target)) - bytes) + 1;
}

/* The three parts of a line that request_line_follow has seen; false: the target is of no known form. */
static bool read_line(const char *bytes, size_t version, struct request_head *head)
{
    struct slice method = { bytes, 0 }, authority;
    const char *target;

    while (bytes[method.len] != ' ')
        method.len++;
    target = bytes + method.len + 1;
    head->target = (struct slice){ target, version - 1 - (method.len + 1) };
    head->line_len = version + sizeof("HTTP/1.1") - 1;
    head->facts.minor = (uint8_t)(bytes[version + 7] - '0');
    read_method(method, &head->facts);
    if (target[0] == '/' || slice_equal(head->target, SLICE("*")))
        return head->facts.minor <= 1;
    authority = target_authority(head->target);
    head->facts.absolute = true;
    head->host = authority;
    head->facts.host = field_hash(authority);
    return authority.len > 0 && head->facts.minor <= 1;
}

static void read_credentials(struct request *facts, struct slice value, bool proxy)
{
    facts->connection_auth |= field_authenticates_connection(value);
    if (proxy)
        facts->proxy_auth = facts->proxy_auth * 31 + field_hash(value);
}

/* 9110 7.2, and what a uri-host may hold; an empty one is well-formed. */
static bool is_host(struct slice value)
{
    const char *end = value.data + value.len, *p = scan_host(value.data, end);

    while (p < end && head_chars[(unsigned char)*p] & HEAD_HOST)
        p++;
    return p == end;
}

static void read_field(struct request_head *head, enum field_id id, struct slice value)
{
    struct request *facts = &head->facts;

    switch (id) {
    case FIELD_HOST:
        head->hosts += head->hosts < 2;
        head->bad_host |= !is_host(value);
        head->by_version |= value.len == 0;
        facts->has_host = true;
        if (facts->absolute)
            break;
        facts->host = field_hash(value);
        head->host = value;
        break;
    case FIELD_UPGRADE:
        head->upgrade = true;
        break;
    case FIELD_EXPECT:
        facts->expects = true;
        head->by_version |= !slice_is_lower(value, "100-continue");
        break;
    case FIELD_RANGE:
        head->by_version = true;
        break;
    case FIELD_AUTHORIZATION:
    case FIELD_PROXY_AUTHORIZATION:
        read_credentials(facts, value, id == FIELD_PROXY_AUTHORIZATION);
        break;
    default:
        hop_read_framing(&head->options, &head->body, id, value);
        break;
    }
}

/* An old client of a proxy says Proxy-Connection where it should say Connection. */
static bool asks_proxy_to_persist(struct slice value)
{
    struct slice option;

    while (field_element(&value, &option))
        if (slice_is_lower(option, "keep-alive"))
            return true;
    return false;
}

static enum head_result read_fields(const char *bytes, size_t len, struct request_head *head)
{
    enum hop_side side = head->facts.minor ? HOP_REQUEST_11 : HOP_REQUEST_10;
    const char *line = bytes + head->line_len, *end = bytes + len;
    struct head_field field;
    bool lenient = false;

    for (;; line = field.next) {
        enum field_id id;
        enum head_result result = hop_next_known(&line, end, &field, &id, &lenient);

        if (lenient)
            return HEAD_BAD;
        if (result != HEAD_DONE)
            return result;
        if (id == FIELD_OTHER)
            break;
        read_field(head, id, head_trim(field.value));
        if (id == FIELD_PROXY_CONNECTION && head->facts.minor == 0)
            head->options.keep_alive |= asks_proxy_to_persist(field.value);
        if (hop_by_hop(id, side))
            hop_cut_line(&head->cut, bytes, line, field.next);
    }
    head->len = (size_t)(field.next - bytes);
    if (head->options.names > 0)
        head->cut = (struct hop_cut){ (uint32_t)head->line_len, (uint32_t)(line - bytes), false };
    return HEAD_DONE;
}

/* 9112 9.3.  Many a server compares the first Connection field with "close", and does not read a list. */
static void read_persistence(struct request *facts, const struct hop_options *options)
{
    facts->one_shot = options->close || (facts->minor == 0 && !options->keep_alive);
    facts->plain_close = facts->one_shot && !options->keep_alive && (facts->minor == 0 || !options->list);
}

enum head_result request_parse(const char *bytes, size_t len, size_t version, struct request_head *head)
{
    enum head_result result;
    bool known;
    size_t left;

    memset(head, 0, sizeof(*head));
    known = read_line(bytes, version ? version : find_version(bytes, len), head);
    left = len - head->line_len;
    if (!known || (left > 0 && bytes[len - left] != '\r') || (left > 1 && bytes[len - left + 1] != '\n'))
        return HEAD_BAD;
    if (left < 2) {
        head->line_len = 0;
        return HEAD_MORE;
    }
    head->line_len += 2;
    result = read_fields(bytes, len, head);
    read_persistence(&head->facts, &head->options);
    return result;
}

/* 9112 3.2, 6.1 and 6.3: what a server has to refuse, or might read otherwise than we do. */
static bool is_ambiguous(const struct request_head *head)
{
    const struct field_body *body = &head->body;

    if (head->hosts > 1 || head->bad_host || (head->hosts == 0 && head->facts.minor == 1) ||
        head->options.odd)
        return true;
    if (head->facts.absolute && head->hosts == 0 && target_authority(head->target).len > AUTHORITY_MAX)
        return true;
    if (body->bad_length || body->repeated)
        return true;
    return body->has_coding && (body->has_length || !body->plain_chunked || head->facts.minor == 0);
}

/* As HTTP/1.1 it could be answered otherwise: lighttpd heeds Range in 1.1 only; an empty Host is allowed in 1.0 only; of
 * Expect a 1.0 request loses what Apache httpd refuses; haproxy refuses a body that 1.0 gives no meaning (2.6 and later). */
static bool is_of_its_version(const struct request_head *head)
{
    const struct request *facts = &head->facts;

    return facts->minor == 0 && facts->one_shot && (head->by_version || (facts->bodiless && head->body.length > 0));
}

enum reason request_refusal(const struct request_head *head)
{
    if (is_ambiguous(head))
        return REASON_ambiguous_request;
    if (head->options.names_vital)
        return REASON_names_vital_field;
    if (is_of_its_version(head))
        return REASON_of_its_version;
    if (head->upgrade && head->facts.minor == 1)
        return REASON_upgrade;
    return REASON_none;
}

static char *append(char *to, const char *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

/* The request line as HTTP/1.1, and the Host that this version asks for. */
static char *write_line(const char *head, size_t line, const struct request *facts, struct slice authority,
                        char *out)
{
    const char *target = (const char *)memchr(head, ' ', line) + 1;

    out = append(out, head, line);
    out[-3] = '1';
    if (facts->has_host)
        return out;
    if (facts->absolute)
        authority = target_authority((struct slice){ target, (size_t)(head + line - target) - 11 });
    out = append(out, "Host: ", 6);
    out = append(out, authority.data, authority.len);
    return append(out, "\r\n", 2);
}

/* The fields of [from, to), without those that go. */
static char *write_filtered(const struct request *facts, const char *from, const char *to, char *out)
{
    struct hop_filter filter;
    struct head_field field;
    bool lenient = false;

    hop_filter_init(&filter, facts->minor ? HOP_REQUEST_11 : HOP_REQUEST_10,
                    facts->absolute ? FIELD_PROXY_AUTHORIZATION : FIELD_OTHER, from, to);
    for (; from < to && head_field(from, to, &field, &lenient) == HEAD_DONE; from = field.next)
        if (!hop_filter_drops(&filter, &field, field_identify(field.name)))
            out = append(out, from, (size_t)(field.next - from));
    return out;
}

static const char persists[] = "Connection: keep-alive\r\n\r\n";

size_t request_rewrite(struct slice head, const struct request *facts, const struct hop_cut *cut,
                       struct slice authority, char *out)
{
    const char *start = out, *bytes = head.data, *blank = bytes + head.len - 2;
    const char *from = (const char *)memchr(bytes, '\n', head.len) + 1;

    out = write_line(bytes, (size_t)(from - bytes), facts, authority, out);
    if (cut->to > 0) {
        out = append(out, from, (size_t)(bytes + cut->from - from));
        from = bytes + cut->to;
        if (!cut->all || facts->absolute)
            out = write_filtered(facts, bytes + cut->from, from, out);
    }
    out = append(out, from, (size_t)(blank - from));
    out = append(out, persists, sizeof persists - 1);
    return (size_t)(out - start);
}

size_t request_ask_close(char *head, size_t len)
{
    static const char closes[] = "Connection: close\r\n\r\n";
    char *end = append(head + len - (sizeof persists - 1), closes, sizeof closes - 1);

    return (size_t)(end - head);
}
