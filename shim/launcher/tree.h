/* tree: what the processes under a launcher share. */
#ifndef HOLDFAST_LAUNCHER_TREE_H
#define HOLDFAST_LAUNCHER_TREE_H

/* Makes the queues that COMMAND and its children leave their idle connections in, and names them in the
 * environment, unless there are such already.  Where that is impossible, each process keeps its own. */
void tree_prepare(void);

#endif
