/* The look: colours are those of Okabe and Ito, which all can tell apart. */
#include "trace/svg.h"

static const char style[] =
    "<style>"
    "svg{font:13px 'DejaVu Sans',Verdana,sans-serif;fill:#1c2530}"
    ".h1{font-size:20px;font-weight:bold}"
    ".h2{font-size:16px;font-weight:bold}"
    ".sub{font-size:12px;fill:#5b6675}"
    ".warn{font-size:12px;fill:#b34700}"
    ".name{font-weight:bold}"
    ".small{font-size:11px;fill:#5b6675}"
    ".num,.val{text-anchor:end}.val{font-weight:bold}"
    ".tick{font-size:11px;fill:#5b6675;text-anchor:middle}"
    ".in{font-size:11px;fill:#1c2530;stroke:none;pointer-events:none}.in.s{font-size:9px}"
    ".badge{fill:#fff;font-weight:bold;text-anchor:middle}"
    ".v0{fill:#667080}.v1{fill:#D55E00}.v2{fill:#00815e}"
    ".bg{fill:#f4f6f8}.box{fill:#f8fafb;stroke:#d5dbe2}"
    ".c0{fill:#0072B2;stroke:#0072B2}.c1{fill:#E69F00;stroke:#E69F00}"
    ".c2{fill:#CC79A7;stroke:#CC79A7}.c3{fill:#56B4E9;stroke:#56B4E9}"
    ".c4{fill:#009E73;stroke:#009E73}.c5{fill:#F0E442;stroke:#d8cb1f}"
    ".c6{fill:#9aa5b1;stroke:#9aa5b1}"
    ".b{fill-opacity:.22}.m{fill-opacity:.3;stroke:none}"
    ".u{stroke-dasharray:4 3}"
    ".b:hover,.m:hover{fill-opacity:.45}"
    ".on{stroke:none}.on,.k,.w{pointer-events:none}"
    ".k{fill:none;stroke:#111;stroke-width:2}"
    ".x{fill:#D55E00;stroke:none;pointer-events:none}"
    ".idle{fill:url(#weft-idle)}.lock{fill:url(#weft-lock)}"
    ".wait{fill:url(#weft-wait)}"
    ".sp{fill:#1c2530;fill-opacity:.16;stroke:#1c2530;stroke-opacity:.4;"
    "stroke-width:.6}"
    ".mk{fill:#1c2530}"
    ".got{fill:#009E73;fill-opacity:.75}.not{fill:#f3c9b5;fill-opacity:.8}"
    ".prog{fill:none;stroke:#222;stroke-width:1.4}"
    ".cnt{fill:none;stroke:#0072B2;stroke-width:1.4}"
    ".grid{stroke:#dde2e8}.axis{stroke:#333}"
    ".end{stroke:#333;stroke-dasharray:4 3}"
    ".par{fill:#00795a}"
    "</style>\n";

/* Lines at 45 degrees: an id, how they are turned, their colour. */
static void
hatch(struct out *out, const char *id, int turned, const char *colour)
{
    out_format(out,
               "<pattern id=\"%s\" width=\"6\" height=\"6\" "
               "patternUnits=\"userSpaceOnUse\" "
               "patternTransform=\"rotate(%d)\">"
               "<rect width=\"6\" height=\"6\" fill=\"#fff\" "
               "fill-opacity=\".75\"/>"
               "<rect width=\"2\" height=\"6\" fill=\"%s\"/></pattern>",
               id, turned, colour);
}

void
svg_style(struct out *out)
{
    out_text(out, style);
    out_text(out, "<defs>");
    hatch(out, "weft-idle", 45, "#d6dce3");
    hatch(out, "weft-lock", 45, "#D55E00");
    hatch(out, "weft-wait", -45, "#7d8896");
    out_text(out, "</defs>\n");
}
