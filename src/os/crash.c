/* A signal that kills, seen before it does. The handler runs on a stack of its
 * own. It first follows frame pointers, which needs neither heap nor lock, and
 * then asks the unwinder, which finds more and may itself fault: the second
 * fault is the end, with what was noted before. */
#include "os/os.h"
#include "os/trampoline.h"

#include <execinfo.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    STACK = 64 << 10,
    SKIP = 8 /* frames that the handler itself may have */
};

static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
                            SIGABRT, SIGTRAP, SIGSYS, SIGXCPU};

static void (*note)(const struct os_crash *crash);
static struct os_crash crash; /* of the one that dies first */
static atomic_flag dying = ATOMIC_FLAG_INIT;

struct frame {
    uint64_t next, back;
};

/* Where it was, its frame, and, for a call to nowhere, where it came from. */
static void
start_frames(const ucontext_t *context, uint64_t *code, uint64_t *frame,
             uint64_t *back)
{
#if defined __x86_64__
    *code = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    *frame = (uint64_t)context->uc_mcontext.gregs[REG_RBP];
    (void)os_read_own(
        (const void *)(uintptr_t)context->uc_mcontext.gregs[REG_RSP], back,
        sizeof *back);
#else
    *code = context->uc_mcontext.pc;
    *frame = context->uc_mcontext.regs[29];
    *back = context->uc_mcontext.regs[30];
#endif
}

/* The frames before the trampoline's, and before what it called; all, if it is
 * not among them. */
static unsigned
without_library(unsigned count)
{
    const uint64_t start = (uint64_t)(uintptr_t)os_trampoline;
    const uint64_t end = (uint64_t)(uintptr_t)os_trampoline_end;

    for (unsigned i = 1; i < count; i++)
        if (crash.frames[i] >= start && crash.frames[i] < end)
            return i > 1 ? i - 1 : i;
    return count;
}

static void
follow_frames(const ucontext_t *context)
{
    struct frame here = {0};
    uint64_t at, back = 0;

    start_frames(context, &crash.frames[0], &at, &back);
    crash.count = 1;
    if (crash.frames[0] == 0 && back)
        crash.frames[crash.count++] = back;
    while (crash.count < OS_FRAMES && at && at % sizeof(void *) == 0 &&
           os_read_own((const void *)(uintptr_t)at, &here, sizeof here) ==
               sizeof here &&
           here.back && here.next > at) {
        crash.frames[crash.count++] = here.back;
        at = here.next;
    }
    crash.count = without_library(crash.count);
}

/* What lies below the signal's own frame is the handler. */
static void
unwind(uint64_t first)
{
    void *found[OS_FRAMES + SKIP];
    const int count = backtrace(found, OS_FRAMES + SKIP);

    for (int i = 0; i < count && i < SKIP; i++) {
        if ((uint64_t)(uintptr_t)found[i] != first)
            continue;
        for (int k = i; k < count && k - i < OS_FRAMES; k++)
            crash.frames[k - i] = (uint64_t)(uintptr_t)found[k];
        crash.count = without_library(
            (unsigned)(count - i < OS_FRAMES ? count - i : OS_FRAMES));
        return;
    }
}

static void
handle(int number, siginfo_t *info, void *context)
{
    if (atomic_flag_test_and_set(&dying))
        return; /* another thread's: its turn comes when the default is back */
    crash.signal = number;
    crash.code = info->si_code;
    crash.address = (uint64_t)(uintptr_t)info->si_addr;
    follow_frames(context);
    note(&crash);
    const unsigned before = crash.count;
    const uint64_t first = crash.frames[0];

    if (first != 0)
        unwind(first);
    if (crash.count >= before)
        note(&crash);
    /* The default action is back: a fault comes again by itself, what was sent
     * is sent again. */
    if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS ||
        number == SIGXCPU)
        (void)syscall(SYS_tgkill, getpid(), os_thread_id(), number);
}

void
os_crash_warm_up(void)
{
    void *frames[2];

    (void)backtrace(frames, 2); /* its first call loads a library */
}

void
os_crash_catch(void (*each)(const struct os_crash *crash))
{
    struct sigaction action = {
        .sa_sigaction = handle,
        .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    stack_t stack = {.ss_size = STACK};

    note = each;
    stack.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
        return; /* a death is told without its place */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction now;

        if (sigaction(fatal[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            (void)sigaction(fatal[i], &action, NULL);
    }
}
