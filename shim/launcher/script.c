/* SPDX-License-Identifier: ISC */
#include "launcher/script.h"

#include "launcher/path.h"

#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

static bool copy(char to[PATH_MAX], const char *from)
{
    return snprintf(to, PATH_MAX, "%s", from) < PATH_MAX;
}

/* Cuts the next word off `*rest`; NULL if there is none. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, BLANKS), *end = word + strcspn(word, BLANKS);

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return *word ? word : NULL;
}

static bool is_env(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash ? slash + 1 : path, "env") == 0;
}

/* The kernel gives env all that follows as one argument, which is a name, unless it says -S: then it is
 * to be split.  Returns what is to be split, or NULL. */
static char *split_string(char *argument)
{
    static const char long_form[] = "--split-string";

    if (strncmp(argument, long_form, sizeof(long_form) - 1) == 0)
        return argument + sizeof(long_form) - 1 + strspn(argument + sizeof(long_form) - 1, "=");
    if (argument[0] == '-' && argument[1] != '-') {
        size_t others = strspn(argument + 1, "iv0");

        if (argument[1 + others] == 'S')
            return argument + 2 + others;
    }
    return NULL;
}

/* The program behind env's own options and assignments. */
static char *command_of_env(char *argument)
{
    char *rest = split_string(argument), *word;

    if (!rest)
        return *argument == '-' || strchr(argument, '=') ? NULL : argument;
    while ((word = next_word(&rest))) {
        if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0)
            (void)next_word(&rest);
        else if (strpbrk(word, "\"'\\$#")) /* env's own language: not worth following */
            return NULL;
        else if (*word != '-' && !strchr(word, '='))
            return word;
    }
    return NULL;
}

bool script_interpreter(const char *head, size_t len, char interpreter[PATH_MAX])
{
    char line[SCRIPT_HEAD + 1], *rest = line + 2, *program, *command;
    size_t end = len < SCRIPT_HEAD ? len : SCRIPT_HEAD;

    if (len < 2 || head[0] != '#' || head[1] != '!')
        return copy(interpreter, "/bin/sh");
    memcpy(line, head, end);
    line[end] = '\0';
    line[strcspn(line, "\n")] = '\0';
    for (end = strlen(line); end > 2 && strchr(BLANKS, line[end - 1]); end--)
        line[end - 1] = '\0';
    program = next_word(&rest);
    if (!program)
        return false;
    rest += strspn(rest, BLANKS);
    if (!is_env(program) || !*rest)
        return copy(interpreter, program);
    command = command_of_env(rest);
    return command && path_find(command, interpreter);
}
