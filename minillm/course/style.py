"""The look of the report: light and dark as the reader's system asks, readable on a phone and on paper."""

STYLE = """
:root {
  --page: #fbfaf8; --card: #ffffff; --ink: #22242a; --quiet: #626873; --line: #e2dfd9; --accent: #0d6594;
  --good: #0a7a46; --bad: #b3261e; --wash: #f2f0ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171b; --card: #1c1f25; --ink: #e4e5e8; --quiet: #9ba2ae; --line: #32363e; --accent: #74b9e0;
    --good: #5fcb94; --bad: #f2938c; --wash: #22262d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .25rem; }
.intro { max-width: 44rem; margin: 0 0 1rem; color: var(--quiet); }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 0; }
nav a {
  display: block; padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--card);
  text-decoration: none; font-size: .9rem;
}
section, footer { margin-top: 2rem; }
main > section {
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.5rem;
  scroll-margin-top: 1rem;
}
.quiet { color: var(--quiet); font-size: .9rem; margin: 0 0 .75rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .95rem; min-width: 50%; }
.overview table, .answers table { width: 100%; }
caption { text-align: left; font-weight: 600; padding: .25rem 0 .4rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem 1.5rem .45rem 0; border-bottom: 1px solid var(--line); }
thead th { font-size: .8rem; font-weight: 600; color: var(--quiet); }
tbody th { font-weight: 500; }
tfoot th, tfoot td { border-bottom: 0; font-weight: 600; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.answers td { min-width: 9rem; overflow-wrap: anywhere; }
ul.plain { list-style: none; margin: 0; padding: 0; }
ul.plain strong { font-variant-numeric: tabular-nums; white-space: nowrap; }
.badge {
  display: inline-block; padding: 0 .55rem; border-radius: 1rem; font-size: .8rem; white-space: nowrap;
  border: 1px solid currentColor;
}
.badge.done, .good { color: var(--good); }
.badge.failed, .bad { color: var(--bad); }
.badge.not-run { color: var(--quiet); }
.error { border-left: 4px solid var(--bad); background: var(--wash); padding: .5rem 1rem; overflow-x: auto; }
.error pre { margin: 0; font-size: .85rem; }
figure { margin: 1.5rem 0; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .9rem; color: var(--quiet); margin-top: .4rem; max-width: 44rem; }
figcaption strong { color: var(--ink); font-weight: 600; }
footer { padding-bottom: 3rem; }
footer dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; font-size: .9rem; }
footer dt { color: var(--quiet); }
footer dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  header { padding-top: 1.25rem; }
  h1 { font-size: 1.6rem; }
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  main > section { padding: 1rem; }
  table { width: 100%; }
  th, td { padding-right: .75rem; }
  .overview thead { display: none; }
  .overview tr { display: grid; grid-template-columns: 1fr auto 4rem; border-bottom: 1px solid var(--line); }
  .overview th, .overview td { border: 0; padding-right: 0; }
  .overview td:last-child { grid-column: 1 / -1; padding-top: 0; }
  footer dl { grid-template-columns: 1fr; }
  footer dt { margin-top: .4rem; }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #bbb; --accent: #000; --wash: #f4f4f4; }
  body { font-size: 10.5pt; }
  nav, .skip { display: none; }
  header, main, footer { max-width: none; padding: 0; }
  main > section { border: 0; padding: 0; }
  figure, tr, caption { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  .wide { overflow: visible; }
}
"""
