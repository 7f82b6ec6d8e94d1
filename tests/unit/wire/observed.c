/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#define PLAY_THROUGH_WIRE
#include "unit/http/observed.c"
