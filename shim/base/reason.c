/* SPDX-License-Identifier: ISC */
#include "base/reason.h"

enum column { NAME, SENTENCE, ADVICE };

/* No tables of pointers: the loader would have to relocate them in every program. */
static const char *text_of(enum reason reason, enum column column)
{
    switch (reason) {
#define REASON(name, sentence, advice) \
    case REASON_##name:                \
        return column == NAME ? #name : column == SENTENCE ? sentence : advice;
#include "base/reasons.def"
#undef REASON
    default:
        return column == NAME ? "none" : "";
    }
}

const char *reason_name(enum reason reason)
{
    return text_of(reason, NAME);
}

const char *reason_sentence(enum reason reason)
{
    return text_of(reason, SENTENCE);
}

const char *reason_advice(enum reason reason)
{
    return text_of(reason, ADVICE);
}
