/* SPDX-License-Identifier: ISC */
#include "launcher/text.h"

#include <string.h>

enum { WIDTH = 92 };

void text_wrap(FILE *out, const char *first, const char *text, int indent)
{
    int column = fprintf(out, "%s", first);
    const char *gap = "";

    while (*text) {
        int len = (int)strcspn(text, " ");

        if (column + (int)strlen(gap) + len > WIDTH && column > indent) {
            column = fprintf(out, "\n%*s", indent, "") - 1;
            gap = "";
        }
        column += fprintf(out, "%s%.*s", gap, len, text);
        gap = " ";
        text += len + (text[len] == ' ');
    }
    fputc('\n', out);
}
