/* SPDX-License-Identifier: ISC */
#include "preload/fds/table.h"

struct conn *_Atomic conn_table[CONN_TABLE_SIZE];
max_align_t conn_private_zeroes[CONN_PRIVATE_BYTES / sizeof(max_align_t)];
