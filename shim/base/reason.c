#include "base/reason.h"

static const struct {
    const char *name, *sentence, *advice;
} words[REASON_count] = {
    [REASON_none] = { "none", "", "" },
#define REASON(name, sentence, advice) [REASON_##name] = { #name, sentence, advice },
#include "base/reasons.def"
#undef REASON
};

static unsigned index_of(enum reason reason)
{
    return (unsigned)reason < REASON_count ? (unsigned)reason : REASON_none;
}

const char *reason_name(enum reason reason)
{
    return words[index_of(reason)].name;
}

const char *reason_sentence(enum reason reason)
{
    return words[index_of(reason)].sentence;
}

const char *reason_advice(enum reason reason)
{
    return words[index_of(reason)].advice;
}
