// The style sheet of report.html.
#pragma once

namespace kakeya::acceptance {

// Series colours are told apart with the common colour-vision deficiencies (after Okabe and Ito), lighter on
// dark.
inline constexpr const char* kReportStyle = R"(
:root { color-scheme: light dark;
  --page:#ffffff; --ink:#1b1f24; --soft:#5a6470; --line:#dfe3e8; --panel:#f6f7f9; --inside:#0072b21f;
  --good:#0b6e4f; --bad:#b3261e; --unsure:#8a5a00; --plain:#5a6470; --mock:#b3261e;
  --s0:#59616b; --s1:#0072b2; --s2:#d55e00; --s3:#009e73; --s4:#a8478f; --s5:#b58900; --s6:#3f8fc4; --s7:#7a3b69; }
@media (prefers-color-scheme: dark) { :root {
  --page:#15181c; --ink:#e8eaed; --soft:#a3acb8; --line:#333a43; --panel:#1d2126; --inside:#56b4e92b;
  --good:#5fd0a4; --bad:#ff8a80; --unsure:#f0b94a; --plain:#a3acb8; --mock:#ff8a80;
  --s0:#b4bcc6; --s1:#56b4e9; --s2:#ff9a5a; --s3:#3fd0a5; --s4:#e08bcb; --s5:#f0c04a; --s6:#8fd0ff; --s7:#d49ac6; } }
.s0{--c:var(--s0)} .s1{--c:var(--s1)} .s2{--c:var(--s2)} .s3{--c:var(--s3)}
.s4{--c:var(--s4)} .s5{--c:var(--s5)} .s6{--c:var(--s6)} .s7{--c:var(--s7)}
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; }
main { max-width:1120px; margin:0 auto; padding:32px 20px 64px }
h1 { font-size:1.7rem; line-height:1.25; margin:0 0 .3rem; letter-spacing:-.01em }
h2 { font-size:1.25rem; margin:2.6rem 0 .8rem; padding-top:1.2rem; border-top:1px solid var(--line) }
h3 { font-size:1rem; margin:1.4rem 0 .4rem }
p { margin:.5rem 0; max-width:90ch } .soft { color:var(--soft) } li { margin:.25rem 0; max-width:85ch }
.mock { border:2px solid var(--mock); color:var(--mock); border-radius:8px; padding:.6rem 1rem; margin:1rem 0; font-weight:600 }
.grid { display:grid; gap:18px; grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr)) }
.cards { display:grid; gap:14px; grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr)); margin:1.2rem 0 }
figure, .card { margin:0; background:var(--panel); border:1px solid var(--line); border-radius:10px; padding:16px 18px }
.card { border-top:4px solid var(--c) } .card p { margin:.35rem 0; font-size:.92rem }
.card .name { font-size:1.15rem; font-weight:650 } .card .bits { color:var(--soft); font-size:.9rem; margin-left:.5rem }
.badge { display:inline-block; font-weight:650; font-size:.92rem } .badge b { display:inline-block; width:1.3em }
.good { color:var(--good) } .bad { color:var(--bad) } .unsure { color:var(--unsure) } .plain { color:var(--plain) }
figcaption { font-weight:600; font-size:.95rem; margin-bottom:.6rem }
svg { display:block; width:100%; height:auto; font-size:12px; font-family:inherit; overflow:visible }
svg text { fill:var(--ink) } .tick,.axis { fill:var(--soft)!important } .small { font-size:10.5px } .label { font-weight:600 }
line.grid { stroke:var(--line); stroke-width:1 } line.base { stroke:var(--soft); stroke-width:1 }
line.zero { stroke:var(--ink); stroke-width:1; stroke-dasharray:3 3 } line.margin { stroke:var(--s1); stroke-width:2 }
rect.inside { fill:var(--inside) } line.whisker { stroke:var(--c); stroke-width:2 } .dot { fill:var(--c); stroke:var(--panel); stroke-width:.8 }
.curve { fill:none; stroke:var(--c); stroke-width:2 } .bar { fill:var(--c); fill-opacity:.85 } line.outline { stroke:var(--ink); stroke-width:1.6 }
.scroll { overflow-x:auto; margin:0 0 .8rem }
table { border-collapse:collapse; font-size:.88rem; font-variant-numeric:tabular-nums; min-width:100% }
th { text-align:left; font-weight:600; color:var(--soft); border-bottom:2px solid var(--line); padding:.4rem .7rem; vertical-align:bottom }
td { border-bottom:1px solid var(--line); padding:.4rem .7rem; white-space:nowrap } td.wrap { white-space:normal }
th.num, td.num { text-align:right }
pre { background:var(--panel); border:1px solid var(--line); border-radius:8px; padding:12px; overflow-x:auto; font-size:.85rem; white-space:pre-wrap; overflow-wrap:anywhere }
@media (max-width:520px) { main { padding:20px 14px 48px } figure, .card { padding:12px } h1 { font-size:1.35rem } svg { font-size:13px } }
@media print { figure, .card { break-inside:avoid } }
)";

}  // namespace kakeya::acceptance
