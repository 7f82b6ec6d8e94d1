#include "threads.h"
int timer(int argc, char **argv) { return 0; }
