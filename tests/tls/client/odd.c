/* SPDX-License-Identifier: ISC */
/* odd PORT FOLDER STEP...: one HTTPS request for each step, of a program that does uncommon things with its objects; what
 * comes of each is printed.  Needs no header of OpenSSL: e2e_tls compiles it with libssl.so.3 alone. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef void SSL, SSL_CTX, BIO;
const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
void SSL_CTX_free(SSL_CTX *);
int SSL_CTX_load_verify_locations(SSL_CTX *, const char *file, const char *folder);
void SSL_CTX_set_verify(SSL_CTX *, int mode, int (*callback)(int, void *));
void SSL_set_verify(SSL *, int mode, int (*callback)(int, void *));
SSL *SSL_new(SSL_CTX *);
void SSL_free(SSL *);
int SSL_up_ref(SSL *);
SSL *SSL_dup(SSL *);
int SSL_clear(SSL *);
void SSL_set_connect_state(SSL *);
int SSL_set_fd(SSL *, int);
void SSL_set_bio(SSL *, BIO *, BIO *);
BIO *BIO_new_socket(int fd, int close);
int SSL_connect(SSL *);
int SSL_read(SSL *, void *, int);
int SSL_write(SSL *, const void *, int);
int SSL_shutdown(SSL *);
void SSL_set_shutdown(SSL *, int);
int SSL_get_shutdown(const SSL *);
int SSL_get_error(const SSL *, int);
long SSL_get_verify_result(const SSL *);
const char *SSL_get_version(const SSL *);
int SSL_use_certificate_file(SSL *, const char *, int);
int SSL_use_PrivateKey_file(SSL *, const char *, int);
void SSL_set_cert_cb(SSL *, int (*)(SSL *, void *), void *);
void *X509_STORE_CTX_get_ex_data(void *, int);
int SSL_get_ex_data_X509_STORE_CTX_idx(void);
unsigned long ERR_get_error(void);

static int port;
static const char *folder;
static const char *step;

static SSL_CTX *context(const char *ca, int verify)
{
    char path[512];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    snprintf(path, sizeof path, "%s/%s.pem", folder, ca);
    SSL_CTX_load_verify_locations(ctx, path, NULL);
    SSL_CTX_set_verify(ctx, verify, NULL);
    return ctx;
}

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        exit(3);
    return fd;
}

static void tell(const char *what, SSL *s, int result)
{
    printf("%s %s: %d, error %d, verify %ld, reason %lu\n", step, what, result, result > 0 ? 0 : SSL_get_error(s, result),
           SSL_get_verify_result(s), ERR_get_error() & 0x7fffff);
}

static const char request[] = "GET /bytes/10240 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static void ask(SSL *s)
{
    tell("write", s, SSL_write(s, request, sizeof request - 1));
}

static void read_all(SSL *s)
{
    char buf[4096];
    int n, all = 0;

    while ((n = SSL_read(s, buf, sizeof buf)) > 0)
        all += n;
    printf("%s: %d bytes, then %d, error %d, shutdown %d\n", step, all, n, SSL_get_error(s, n), SSL_get_shutdown(s) & 2);
}

static SSL *open_one(SSL_CTX *ctx, int *fd)
{
    SSL *s = SSL_new(ctx);

    *fd = dial();
    SSL_set_fd(s, *fd);
    tell("connect", s, SSL_connect(s));
    return s;
}

static void plain(const char *ca, int verify)
{
    int fd;
    SSL_CTX *ctx = context(ca, verify);
    SSL *s = open_one(ctx, &fd);

    ask(s);
    read_all(s);
    SSL_shutdown(s);
    SSL_free(s);
    SSL_CTX_free(ctx);
    close(fd);
}

/* Frees it, too. */
static void connect_and_ask(SSL *s)
{
    int result = SSL_connect(s);

    tell("connect", s, result);
    if (result == 1) {
        ask(s);
        read_all(s);
    }
    SSL_free(s);
}

/* The object serves twice; the second time it wants to know whom it talks to. */
static void again(SSL *s, int fd, int clear)
{
    close(fd);
    fd = dial();
    if (clear)
        printf("%s: clear %d\n", step, SSL_clear(s));
    else
        SSL_set_connect_state(s);
    SSL_set_verify(s, 1, NULL);
    SSL_set_fd(s, fd);
    connect_and_ask(s);
    close(fd);
}

static int taints(int ok, void *x)
{
    SSL_set_cert_cb(X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx()), NULL, NULL);
    return ok;
}

static int refuses(int ok, void *x)
{
    return 0;
}

static void run(void)
{
    int fd = -1, other = -1;
    SSL_CTX *ctx = context(strstr(step, "unknown") ? "other-ca" : "ca", strstr(step, "verified") != NULL);

    if (strcmp(step, "good") == 0) {
        plain("ca", 1);
    } else if (strcmp(step, "none") == 0) {
        plain("ca", 0);
    } else if (strncmp(step, "clear", 5) == 0 || strncmp(step, "restart", 7) == 0) {
        SSL *s = open_one(ctx, &fd);
        if (!strstr(step, "silent")) {
            ask(s);
            if (!strstr(step, "middle"))
                read_all(s);
        }
        again(s, fd, *step == 'c');
    } else if (strncmp(step, "dup", 3) == 0) {
        SSL *s = open_one(ctx, &fd), *copy = SSL_dup(s);
        tell("dup", copy, copy != NULL);
        ask(copy);
        SSL_free(s);
        read_all(copy);
        SSL_free(copy);
    } else if (strncmp(step, "up_ref", 6) == 0) {
        SSL *s = open_one(ctx, &fd);
        SSL_up_ref(s);
        ask(s);
        char buf[10];
        tell("read", s, SSL_read(s, buf, sizeof buf));
        SSL_free(s);
        read_all(s);
        SSL_free(s);
    } else if (strncmp(step, "bio", 3) == 0) {
        SSL *s = open_one(ctx, &fd);
        BIO *bio = BIO_new_socket(fd, 0);
        SSL_set_bio(s, bio, bio);
        ask(s);
        read_all(s);
        SSL_free(s);
    } else if (strncmp(step, "callback", 8) == 0) {
        SSL *s = SSL_new(ctx);
        fd = dial();
        SSL_set_verify(s, 1, strstr(step, "no") ? refuses : taints);
        SSL_set_fd(s, fd);
        connect_and_ask(s);
    } else if (strncmp(step, "after", 5) == 0) { /* what it does at the end must harm nobody */
        SSL *s = open_one(ctx, &fd);
        ask(s);
        read_all(s);
        ask(s);
        SSL_set_shutdown(s, 3);
        printf("%s: shutdown %d\n", step, SSL_get_shutdown(s));
        other = fd; /* its object is never freed */
        fd = -1;
    } else if (strncmp(step, "closed", 6) == 0) {
        SSL *s = open_one(ctx, &fd);
        ask(s);
        close(fd);
        fd = dial();
        SSL_free(s);
    } else if (strncmp(step, "cert", 4) == 0) {
        char cert[512], key[512];
        SSL *s = SSL_new(ctx);
        snprintf(cert, sizeof cert, "%s/client.pem", folder);
        snprintf(key, sizeof key, "%s/client.key", folder);
        printf("%s: %d %d\n", step, SSL_use_certificate_file(s, cert, 1), SSL_use_PrivateKey_file(s, key, 1));
        fd = dial();
        SSL_set_fd(s, fd);
        tell("connect", s, SSL_connect(s));
        ask(s);
        read_all(s);
        SSL_free(s);
    }
    SSL_CTX_free(ctx);
    if (fd >= 0)
        close(fd);
    if (other >= 0)
        close(other);
}

int main(int argc, char **argv)
{
    port = atoi(argv[1]);
    folder = argv[2];
    for (int i = 3; i < argc; i++) {
        step = argv[i];
        run();
        fflush(stdout);
    }
    return 0;
}
