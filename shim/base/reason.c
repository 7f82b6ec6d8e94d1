#include "base/reason.h"

/* No tables of pointers: the loader would have to relocate them in every program. */
const char *reason_name(enum reason reason)
{
    switch (reason) {
#define REASON(name, sentence, advice) \
    case REASON_##name:                \
        return #name;
#include "base/reasons.def"
#undef REASON
    default:
        return "none";
    }
}

const char *reason_sentence(enum reason reason)
{
    switch (reason) {
#define REASON(name, sentence, advice) \
    case REASON_##name:                \
        return sentence;
#include "base/reasons.def"
#undef REASON
    default:
        return "";
    }
}

const char *reason_advice(enum reason reason)
{
    switch (reason) {
#define REASON(name, sentence, advice) \
    case REASON_##name:                \
        return advice;
#include "base/reasons.def"
#undef REASON
    default:
        return "";
    }
}
