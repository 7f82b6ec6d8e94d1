/* SPDX-License-Identifier: ISC */
/* services: holdfast_secure (base/secure.h), of libholdfast.so.  Weak: that may not be in the process; reach.c looks. */
#ifndef HOLDFAST_TLS_SERVICES_H
#define HOLDFAST_TLS_SERVICES_H

#include "base/secure.h"

#pragma weak holdfast_secure

#endif
