#include "preload/provisional.h"

#include "http/opening.h"
#include "preload/incoming.h"

int provisional_judge(struct conn *c, struct slice bytes, size_t taken)
{
    unsigned status;

    (void)taken;
    switch (opening_read(bytes.data, bytes.len, c->x.request.head_method, &status)) {
    case OPENING_MORE:
        return 0;
    case OPENING_FOREIGN:
        conn_note(c, REASON_poisoned);
        pool_note_closed(&c->to, 0);
        return (int)incoming_foreign(c);
    case OPENING_DOUBTFUL:
    case OPENING_ANSWER:
        break;
    }
    hold_clear(&c->request); /* the time for a replay is over */
    return 1;
}
