/* SPDX-License-Identifier: ISC */
/* settings: the launcher's side of the settings: it refuses, points out and shows. */
#ifndef HOLDFAST_LAUNCHER_SETTINGS_H
#define HOLDFAST_LAUNCHER_SETTINGS_H

#include "base/config.h"

#include <stdbool.h>

/* Loads them from the environment.  False: HOLDFAST=0, the way out of everything: nothing else was looked
 * at.  Ends the program if a value is refused. */
bool settings_load(struct config *config);

/* Files are named absolutely from here on, because the command may change its directory. */
void settings_make_absolute(void);

/* One line on stderr for each variable HOLDFAST_... that is none of ours. */
void settings_point_out(void);

/* The setting that `name` is most likely meant to be; NULL if it is like none. */
const char *settings_nearest(const char *name);

/* On stdout, for --help. */
void settings_show(void);

/* The settings that name files to write to, in an order that ends with NULL. */
extern const char *const settings_files[];

/* Why a process like this one could not append to the file: 0 if it could, or an errno.  Opens nothing: whoever reads
 * a FIFO would see an end. */
int settings_file_error(const char *path);

/* Warns on stderr, a line for each file that could not be written to. */
void settings_point_out_files(void);

#endif
