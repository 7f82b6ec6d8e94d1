/* SPDX-License-Identifier: ISC */
/* What libholdfast-tls.so finds here. */
#include "preload/wire/secured.h"

#include "base/version.h"

__attribute__((visibility("default"))) const struct secure_services holdfast_secure = {
    .version = HOLDFAST_VERSION,
    .begin = secured_begin,
    .find = secured_find,
    .expect = secured_expect,
    .expected = secured_expected,
    .take = secured_take,
    .own = secured_own,
    .request = secured_request,
    .pass = secured_pass,
    .replace = secured_replace,
    .answered = secured_answered,
    .end = secured_end,
    .speaks11 = secured_speaks11,
};
