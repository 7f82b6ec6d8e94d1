/* SPDX-License-Identifier: ISC */
/* reason: the names of reasons.def as an enum, with their words. */
#ifndef HOLDFAST_BASE_REASON_H
#define HOLDFAST_BASE_REASON_H

enum reason {
    REASON_none,
#define REASON(name, sentence, advice) REASON_##name,
#include "base/reasons.def"
#undef REASON
    REASON_count
};

/* All answer a string constant; for REASON_none and for anything out of range: "none", "", "". */
const char *reason_name(enum reason reason);
const char *reason_sentence(enum reason reason);
const char *reason_advice(enum reason reason);

#endif
