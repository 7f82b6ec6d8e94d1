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

#endif
