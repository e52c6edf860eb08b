#include "browser_support.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TO_BROWSER = 3, /* its descriptors, by the protocol */
    FROM_BROWSER = 4,
    PATIENCE = 30000, /* ms */
    MESSAGE = 16384
};

bool
browser_is_installed(void)
{
    return system("command -v chromium >/dev/null 2>&1") == 0;
}

/* ---- the pipes: JSON, each message ended by a zero byte */

static void
send_message(struct browser *browser, const char *message)
{
    size_t length = strlen(message) + 1;

    while (length > 0) {
        const ssize_t wrote = write(browser->to, message, length);

        ck_assert_int_gt(wrote, 0);
        message += wrote;
        length -= (size_t)wrote;
    }
}

static void
receive_more(struct browser *browser)
{
    struct pollfd poller = {.fd = browser->from, .events = POLLIN};

    if (browser->room - browser->length < MESSAGE) {
        browser->room = browser->room * 2 + MESSAGE;
        browser->answer = realloc(browser->answer, browser->room);
        ck_assert_ptr_nonnull(browser->answer);
    }
    ck_assert_int_eq(poll(&poller, 1, PATIENCE), 1);
    const ssize_t got = read(browser->from, browser->answer + browser->length,
                             browser->room - browser->length);

    ck_assert_int_gt(got, 0);
    browser->length += (size_t)got;
}

/* The next message lies at the start of `answer`. */
static void
receive(struct browser *browser)
{
    browser->length -= browser->ready;
    memmove(browser->answer, browser->answer + browser->ready, browser->length);
    browser->ready = 0;
    char *end = NULL;

    while (browser->length == 0 ||
           !(end = memchr(browser->answer, '\0', browser->length)))
        receive_more(browser);
    browser->ready = (size_t)(end - browser->answer) + 1;
}

/* Sends a command and waits for its answer; events go by. */
static const char *
command(struct browser *browser, const char *method, const char *format, ...)
{
    char message[MESSAGE], id[32];
    va_list list;
    int length =
        snprintf(message, sizeof message, "{\"id\":%u,\"method\":\"%s\"",
                 ++browser->sent, method);

    if (*browser->session)
        length += snprintf(message + length, sizeof message - (size_t)length,
                           ",\"sessionId\":\"%s\"", browser->session);
    length += snprintf(message + length, sizeof message - (size_t)length,
                       ",\"params\":{");
    va_start(list, format);
    length += vsnprintf(message + length, sizeof message - (size_t)length,
                        format, list);
    va_end(list);
    ck_assert_int_lt(length, (int)sizeof message - 3);
    memcpy(message + length, "}}", 3);
    send_message(browser, message);
    snprintf(id, sizeof id, "{\"id\":%u,", browser->sent);
    do {
        receive(browser);
        if (strstr(browser->answer, "exceptionThrown") ||
            strstr(browser->answer, "exceptionDetails"))
            ck_abort_msg("the page threw: %s", browser->answer);
    } while (strncmp(browser->answer, id, strlen(id)) != 0);
    if (strstr(browser->answer, "\"error\":{"))
        ck_abort_msg("%s: %s", method, browser->answer);
    return browser->answer;
}

/* A string of the last answer, as it stands in JSON. */
static void
take(const char *answer, const char *name, char *out, size_t size)
{
    char key[64];

    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *from = strstr(answer, key);

    ck_assert_ptr_nonnull(from);
    from += strlen(key);
    const size_t length = strcspn(from, "\"");

    ck_assert_uint_lt(length, size);
    memcpy(out, from, length);
    out[length] = '\0';
}

/* ---- starting and ending */

static _Noreturn void
be_browser(const struct browser *browser, int in, int out)
{
    char profile[96];
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    snprintf(profile, sizeof profile, "--user-data-dir=%s/profile",
             browser->directory);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Above the two numbers first, so that neither covers the other. */
    const int high_in = fcntl(in, F_DUPFD_CLOEXEC, 10);
    const int high_out = fcntl(out, F_DUPFD_CLOEXEC, 10);

    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    dup2(high_in, TO_BROWSER);
    dup2(high_out, FROM_BROWSER);
    /* Its sandbox cannot be had everywhere; it only sees our page. */
    execlp("chromium", "chromium", "--headless", "--no-sandbox",
           "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-extensions", "--disable-background-networking",
           "--remote-debugging-pipe", profile, "about:blank", (char *)NULL);
    _exit(127);
}

static void
start(struct browser *browser)
{
    int to[2], from[2];

    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    browser->pid = fork();
    ck_assert_int_ge(browser->pid, 0);
    if (browser->pid == 0)
        be_browser(browser, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    browser->to = to[1];
    browser->from = from[0];
}

void
browser_open(struct browser *browser, const char *html, unsigned wide,
             unsigned high)
{
    char target[64];

    *browser = (struct browser){0};
    support_directory(browser->directory);
    support_write(browser->directory, "page.html", html);
    start(browser);
    take(command(browser, "Target.createTarget", "\"url\":\"about:blank\""),
         "targetId", target, sizeof target);
    take(command(browser, "Target.attachToTarget",
                 "\"targetId\":\"%s\",\"flatten\":true", target),
         "sessionId", browser->session, sizeof browser->session);
    command(browser, "Emulation.setDeviceMetricsOverride",
            "\"width\":%u,\"height\":%u,\"deviceScaleFactor\":1,"
            "\"mobile\":false",
            wide, high);
    browser_prefer(browser, "light");
    command(browser, "Runtime.enable", "");
    command(browser, "Page.enable", "");
    command(browser, "Page.navigate", "\"url\":\"file://%s/page.html\"",
            browser->directory);
    do
        receive(browser);
    while (!strstr(browser->answer, "\"Page.loadEventFired\""));
    browser_ask(browser, "1");
}

void
browser_close(struct browser *browser)
{
    int status;

    browser->session[0] = '\0';
    command(browser, "Browser.close", "");
    ck_assert_int_eq(waitpid(browser->pid, &status, 0), browser->pid);
    close(browser->to);
    close(browser->from);
    free(browser->answer);
    support_remove(browser->directory);
}

/* ---- asking */

/* Undoes the escapes of JSON in place; those by number become '?'. */
static void
unescape(char *text)
{
    char *to = text;

    for (; *text && *text != '"'; text++) {
        if (*text != '\\') {
            *to++ = *text;
            continue;
        }
        text++;
        if (*text == 'u')
            text += 4;
        *to++ = *text == 'n' ? '\n' : strchr("\"\\/", *text) ? *text : '?';
    }
    *to = '\0';
}

/* After two frames, when what was asked for is drawn. */
const char *
browser_ask(struct browser *browser, const char *expression)
{
    static const char key[] = "\"type\":\"string\",\"value\":\"";

    command(browser, "Runtime.evaluate",
            "\"awaitPromise\":true,\"expression\":\"new Promise(done => "
            "requestAnimationFrame(() => requestAnimationFrame(() => "
            "done(String(%s)))))\"",
            expression);
    char *value = strstr(browser->answer, key);

    if (!value)
        ck_abort_msg("%s: %s", expression, browser->answer);
    value += strlen(key);
    unescape(value);
    return value;
}

double
browser_number(struct browser *browser, const char *expression)
{
    return strtod(browser_ask(browser, expression), NULL);
}

static void
mouse(struct browser *browser, const char *type, double x, double y,
      const char *more)
{
    command(browser, "Input.dispatchMouseEvent",
            "\"type\":\"%s\",\"x\":%.1f,\"y\":%.1f%s", type, x, y, more);
}

void
browser_point(struct browser *browser, double x, double y)
{
    mouse(browser, "mouseMoved", x, y, "");
}

#define LEFT_BUTTON ",\"button\":\"left\",\"buttons\":1,\"clickCount\":1"

void
browser_click(struct browser *browser, double x, double y)
{
    browser_drag(browser, x, y, x);
}

void
browser_drag(struct browser *browser, double x, double y, double to_x)
{
    browser_point(browser, x, y);
    mouse(browser, "mousePressed", x, y, LEFT_BUTTON);
    if (to_x != x)
        mouse(browser, "mouseMoved", to_x, y, LEFT_BUTTON);
    mouse(browser, "mouseReleased", to_x, y,
          ",\"button\":\"left\",\"clickCount\":1");
}

void
browser_wheel(struct browser *browser, double x, double y, double turned)
{
    char more[64];

    snprintf(more, sizeof more, ",\"deltaX\":0,\"deltaY\":%.0f", turned);
    mouse(browser, "mouseWheel", x, y, more);
}

void
browser_key(struct browser *browser, const char *key)
{
    const bool is_text = strlen(key) == 1;

    command(browser, "Input.dispatchKeyEvent",
            "\"type\":\"%s\",\"key\":\"%s\"%s%s%s",
            is_text ? "keyDown" : "rawKeyDown", key,
            is_text ? ",\"text\":\"" : "", is_text ? key : "",
            is_text ? "\"" : "");
    command(browser, "Input.dispatchKeyEvent",
            "\"type\":\"keyUp\",\"key\":\"%s\"", key);
}

void
browser_type(struct browser *browser, const char *text)
{
    command(browser, "Input.insertText", "\"text\":\"%s\"", text);
}

unsigned
browser_look(struct browser *browser, size_t *size)
{
    static const char key[] = "\"data\":\"";

    browser_ask(browser, "1");
    const char *data = strstr(
        command(browser, "Page.captureScreenshot", "\"format\":\"png\""), key);
    unsigned digest = 2166136261U;

    ck_assert_ptr_nonnull(data);
    data += strlen(key);
    *size = strcspn(data, "\"");
    for (size_t i = 0; i < *size; i++)
        digest = (digest ^ (unsigned char)data[i]) * 16777619U;
    return digest;
}

void
browser_prefer(struct browser *browser, const char *scheme)
{
    command(browser, "Emulation.setEmulatedMedia",
            "\"features\":[{\"name\":\"prefers-color-scheme\","
            "\"value\":\"%s\"}]",
            scheme);
}
