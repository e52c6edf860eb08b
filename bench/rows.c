/* How a row is printed. */
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    NAME = 50
};

void
bench_note(const char *format, ...)
{
    va_list list;

    fputs("# ", stdout);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

struct unit {
    const char *name;
    double ns;
};

static struct unit
unit_for(double ns)
{
    if (ns < 1000)
        return (struct unit){"ns", 1};
    if (ns < 1e6)
        return (struct unit){"us", 1e3};
    return (struct unit){"ms", 1e6};
}

struct cell {
    char text[48];
};

/* Three digits that matter, and no exponent. */
static struct cell
number(double value)
{
    struct cell cell;
    const double size = value < 0 ? -value : value;
    const int digits = size >= 100    ? 0
                       : size >= 10   ? 1
                       : size >= 1    ? 2
                       : size >= 0.1  ? 3
                       : size >= 0.01 ? 4
                                      : 5;

    snprintf(cell.text, sizeof cell.text, "%.*f", size > 0 ? digits : 0, value);
    return cell;
}

static struct cell
range(const struct bench_entry *entry, struct unit unit)
{
    struct cell cell;

    snprintf(cell.text, sizeof cell.text, "%.20s..%.20s",
             number(entry->least / unit.ns).text,
             number(entry->most / unit.ns).text);
    return cell;
}

static struct cell
limit_text(const char *sign, double value, const char *unit)
{
    struct cell cell = {"-"};

    if (value > 0)
        snprintf(cell.text, sizeof cell.text, "%s%.4g%s", sign, value, unit);
    return cell;
}

static void
print_row(const char *name, const char *unit, const char *const cells[4],
          const char *verdict)
{
    printf("%-*s %-4s %9s %9s %9s %10s %-7s", NAME, name, unit, cells[0],
           cells[1], cells[2], cells[3], verdict);
}

static const char *
verdict(double value, double most)
{
    return most <= 0 ? "-" : value <= most ? "holds" : "short";
}

static void
print_stretch(double ratio, double stretch)
{
    if (stretch > 0)
        printf("; stretch %.4g %s", stretch,
               ratio <= stretch ? "met" : "not met");
}

static void
print_loud(const struct bench_entry *ours)
{
    if (ours->loud > 0)
        printf("; %d of %d rounds loud", ours->loud, ours->rounds);
    putchar('\n');
    fflush(stdout);
}

void
bench_ratio(const char *name, const struct bench_entry *ours,
            const struct bench_entry *peer, struct bench_promise promise)
{
    if (ours->rounds == 0)
        return;
    const struct unit unit = unit_for(ours->median);
    const struct cell mine = number(ours->median / unit.ns);
    const struct cell held = limit_text("<= ", promise.most, "");

    if (!peer || peer->rounds == 0) {
        print_row(name, unit.name,
                  (const char *[]){mine.text, "-", "-", held.text}, "no peer");
        printf("  %s", range(ours, unit).text);
        print_loud(ours);
        return;
    }
    const double ratio = ours->median / peer->median;

    print_row(name, unit.name,
              (const char *[]){mine.text, number(peer->median / unit.ns).text,
                               number(ratio).text, held.text},
              verdict(ratio, promise.most));
    printf("  %s, %s %s", range(ours, unit).text, peer->name,
           range(peer, unit).text);
    print_stretch(ratio, promise.stretch);
    print_loud(ours);
}

void
bench_limit(const char *name, const struct bench_entry *ours, double limit)
{
    if (ours->rounds == 0)
        return;
    const struct unit unit = unit_for(ours->median);

    print_row(name, unit.name,
              (const char *[]){number(ours->median / unit.ns).text, "-", "-",
                               limit_text("<= ", limit / unit.ns, "").text},
              verdict(ours->median, limit));
    printf("  %s", range(ours, unit).text);
    print_loud(ours);
}

void
bench_count(const char *name, int64_t count, int64_t wanted)
{
    char ours[24], all[24];

    snprintf(ours, sizeof ours, "%lld", (long long)count);
    snprintf(all, sizeof all, "%lld", (long long)wanted);
    print_row(name, "of", (const char *[]){ours, all, "-", "all"},
              count >= wanted ? "holds" : "short");
    putchar('\n');
    fflush(stdout);
}

void
bench_compare(const char *name, const char *unit, double ours, double peer,
              double most)
{
    const double ratio = peer > 0 ? ours / peer : 0;

    print_row(name, unit,
              (const char *[]){number(ours).text, number(peer).text,
                               number(ratio).text,
                               limit_text("<= ", most, "").text},
              verdict(ratio, most));
    putchar('\n');
    fflush(stdout);
}

static double
slope(const double *at, const double *values, int count)
{
    double mean_at = 0, mean = 0, above = 0, below = 0;

    for (int i = 0; i < count; i++) {
        mean_at += at[i] / count;
        mean += values[i] / count;
    }
    for (int i = 0; i < count; i++) {
        above += (at[i] - mean_at) * (values[i] - mean);
        below += (at[i] - mean_at) * (at[i] - mean_at);
    }
    return below > 0 ? above / below : 0;
}

static void
print_points(const char *who, const double *at, const double *values, int count)
{
    printf("#   %-5s", who);
    for (int i = 0; i < count; i++) {
        const struct unit unit = unit_for(values[i]);

        printf("  %.0f: %s %s", at[i], number(values[i] / unit.ns).text,
               unit.name);
    }
    putchar('\n');
}

void
bench_slope(const struct bench_points *points)
{
    char name[96];
    const double ours = slope(points->at, points->ours, points->count);
    double peer = 0;

    if (points->count < 2)
        return;
    print_points("ours", points->at, points->ours, points->count);
    if (points->peer) {
        print_points("peer", points->at, points->peer, points->count);
        peer = slope(points->at, points->peer, points->count);
    }
    snprintf(name, sizeof name, "slope of %s a %s", points->name, points->per);
    print_row(name, "ns",
              (const char *[]){number(ours).text,
                               points->peer ? number(peer).text : "-",
                               peer > 0 ? number(ours / peer).text : "-", "-"},
              "-");
    putchar('\n');
    fflush(stdout);
}

void
bench_header(void)
{
    print_row("name", "unit",
              (const char *[]){"ours", "peer", "ratio", "promise"}, "verdict");
    printf("  min..max, peer min..max\n");
    fflush(stdout);
}
