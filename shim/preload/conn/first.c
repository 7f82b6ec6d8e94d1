#include "preload/conn/first.h"

#include "base/block.h"
#include "preload/fds/private.h"

void first_set(struct conn *c, struct first_answer *first)
{
    c->reply.first = first;
    conn_recount(c);
}

void first_drop(struct conn *c)
{
    struct first_answer *first = c->reply.first;

    if (!first)
        return;
    first_set(c, NULL);
    private_close(first->fd);
    hold_clear(&first->bytes);
    block_put(first, first->cap);
}
