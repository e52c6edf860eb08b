/* A headless Chromium, driven over a pair of pipes by the DevTools protocol:
 * real wheel, mouse and keys, and answers from the page. Each call waits for
 * the browser's answer and aborts the test when there is none in 30 s, or when
 * the page threw an exception. */
#ifndef SUPPORT_BROWSER_SUPPORT_H
#define SUPPORT_BROWSER_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct browser {
    pid_t pid;
    int to, from;
    unsigned sent;      /* messages */
    char session[64];   /* of the page */
    char directory[64]; /* what it writes, and the page */
    char *answer;       /* the last message, with its end */
    size_t room, length, ready;
};

bool browser_is_installed(void);

/* Opens a page of so many pixels with this text. */
void browser_open(struct browser *browser, const char *html, unsigned wide,
                  unsigned high);
void browser_close(struct browser *browser);

/* What an expression is, as text; good until the next call. */
const char *browser_ask(struct browser *browser, const char *expression);
double browser_number(struct browser *browser, const char *expression);

/* The pointer goes to x, y of the window. */
void browser_point(struct browser *browser, double x, double y);
void browser_click(struct browser *browser, double x, double y);
void browser_drag(struct browser *browser, double x, double y, double to_x);
void browser_wheel(struct browser *browser, double x, double y, double turned);
void browser_key(struct browser *browser, const char *key);
void browser_type(struct browser *browser, const char *text);

/* A digest of what is to be seen, and how long the picture of it is. */
unsigned browser_look(struct browser *browser, size_t *size);

/* For preferred-color-scheme. */
void browser_prefer(struct browser *browser, const char *scheme);

#endif
