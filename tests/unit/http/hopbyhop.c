/* SPDX-License-Identifier: ISC */
/* Hop-by-hop fields name by name: both directions, both versions of the client. */
#include "play.h"

/* '-': goes; '+': stays; 'o': the request is left alone. */
struct name_row {
    const char *field;
    char request_10, request_11, response_10, response_11;
};

static const struct name_row names[] = {
    { "Connection: foo\r\n", '-', '-', '-', '-' },
    { "Connection: keep-alive\r\n", '-', '-', '-', '-' },
    { "Keep-Alive: timeout=5\r\n", '-', '-', '-', '-' },
    { "Proxy-Connection: keep-alive\r\n", '-', '-', '-', '-' },
    { "Proxy-Authenticate: Basic\r\n", '-', '-', '-', '-' },
    { "Proxy-Authorization: Basic eA==\r\n", '-', '-', '-', '-' },
    { "TE: trailers\r\n", '-', '-', '-', '-' },
    { "Trailer: X\r\n", '-', '+', '-', '+' },
    { "Trailers: X\r\n", '-', '+', '-', '+' },
    { "Transfer-Encoding: chunked\r\n", 'o', '+', '-', '+' },
    { "Upgrade: h2c\r\n", '-', 'o', '-', '-' },
    { "Named: x\r\n", '-', '-', '-', '-' },
    { "NAMED:\r\n", '-', '-', '-', '-' },
    { "Expect: 100-continue\r\n", '-', '+', '+', '+' },
    { "Unnamed: x\r\n", '+', '+', '+', '+' },
    { "Namedx: x\r\n", '+', '+', '+', '+' },
    { "Authorization: Basic eA==\r\n", '+', '+', '+', '+' },
    { "Proxy-Authentication-Info: x\r\n", '+', '+', '+', '+' },
    { "WWW-Authenticate: Basic\r\n", '+', '+', '+', '+' },
    { "Cookie: a\r\n", '+', '+', '+', '+' },
    { "Set-Cookie: a\r\n", '+', '+', '+', '+' },
    { "Via: 1.0 a\r\n", '+', '+', '+', '+' },
    { "Cache-Control: no-cache\r\n", '+', '+', '+', '+' },
    { "Connections: 1\r\n", '+', '+', '+', '+' },
    { "Keep-Alives: 1\r\n", '+', '+', '+', '+' },
    { "Keep_Alive: 1\r\n", '+', '+', '+', '+' },
    { "Xonnection: 1\r\n", '+', '+', '+', '+' },
};

/* first .. field .. last, with the field at each of three places around the Connection field. */
static void compose(char *out, const char *start, const char *const parts[3], const char *field, int place)
{
    strcpy(out, start);
    for (int i = 0; i < 3; i++) {
        if (i == place)
            strcat(out, field);
        strcat(out, parts[i]);
    }
}

static void request_row(struct play *p, const char *field, unsigned minor, char fate)
{
    static const char *const in[] = { "Host: a\r\n", "Connection: Named, close\r\n", "A: b\r\n" };
    static const char *const out[] = { "Host: a\r\n", "", "A: b\r\n" };

    for (int place = 0; place < 3; place++) {
        char client[512], server[512];
        struct play_row row = { .name = field, .outcome = PLAY_OPEN };

        compose(client, minor ? "GET / HTTP/1.1\r\n" : "GET / HTTP/1.0\r\n", in, field, place);
        compose(server, "GET / HTTP/1.1\r\n", out, fate == '+' ? field : "", place);
        bool chunked = fate == '+' && strstr(field, "chunked");
        strcat(client, chunked ? "\r\n0\r\n\r\n" : "\r\n");
        strcat(server, chunked ? "Connection: keep-alive\r\n\r\n0\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
        row.client = (struct slice){ client, strlen(client) };
        row.to_server = fate == 'o' ? row.client : (struct slice){ server, strlen(server) };
        if (fate == 'o')
            row.verdict = minor ? REASON_upgrade : REASON_ambiguous_request;
        play_row(p, &row);
    }
}

static void response_row(struct play *p, const char *field, unsigned minor, char fate)
{
    static const char *const in[] = { "X: y\r\n", "Connection: Named\r\n", "A: b\r\n" };
    bool is_connection = strncmp(field, "Connection:", 11) == 0;

    for (int place = 0; place < 3; place++) {
        bool first = is_connection && place <= 1;
        const char *const out[] = { "X: y\r\n", first ? "" : "Connection: close\r\n", "A: b\r\n" };
        char server[512], client[512];
        struct play_row row = { .name = field, .outcome = PLAY_END };

        compose(server, "HTTP/1.1 304 x\r\n", in, field, place);
        compose(client, "HTTP/1.1 304 x\r\n", out,
                first         ? "Connection: close\r\n"
                : fate == '+' ? field
                              : "",
                place);
        strcat(server, "\r\n");
        strcat(client, "\r\n");
        row.client = minor ? SLICE("GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n")
                           : SLICE("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
        row.to_server = SLICE("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        row.server = (struct slice){ server, strlen(server) };
        row.to_client = (struct slice){ client, strlen(client) };
        play_row(p, &row);
    }
}

static void name_by_name(void **state)
{
    static struct play p;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        request_row(&p, names[i].field, 0, names[i].request_10);
        request_row(&p, names[i].field, 1, names[i].request_11);
        response_row(&p, names[i].field, 0, names[i].response_10);
        response_row(&p, names[i].field, 1, names[i].response_11);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
