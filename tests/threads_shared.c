#include "threads.h"
int shared(int argc, char **argv) { return 0; }
