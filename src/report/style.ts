/** The style sheet of a report page: light and dark by the reader's setting, no fonts or files from elsewhere. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d1d1f; --quiet: #6a6a70; --line: #e4e1db;
  --accent: #c2410c; --accent-soft: #fdebdf; --steel: #8a8f98; --good: #15803d; --bad: #b91c1c; --warn: #a16207;
  --warn-soft: #fdf6dc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131416; --card: #1b1d20; --ink: #ececea; --quiet: #9b9ca1; --line: #2d3035;
    --accent: #fb923c; --accent-soft: #3a2416; --steel: #737983; --good: #4ade80; --bad: #f87171; --warn: #facc15;
    --warn-soft: #322c12;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 28px 80px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 8px; font-weight: 680; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 56px 0 4px; font-weight: 640; }
h2 + .note { margin-bottom: 16px; }
p { margin: 0; }
.summary { font-size: 17px; color: var(--quiet); max-width: 72ch; }
.note { color: var(--quiet); max-width: 80ch; margin: 0 0 8px; }
.empty { color: var(--quiet); }
dl.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 28px 0 0; padding: 18px 0;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line);
}
dl.facts dt { color: var(--quiet); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.notice { margin: 20px 0 0; padding: 12px 16px; border-radius: 6px; border-left: 4px solid var(--steel); background: var(--card); }
.notice.warning { border-color: var(--warn); background: var(--warn-soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 14px; margin-top: 32px; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }
.figure b { display: block; font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; font-weight: 640; font-variant-numeric: tabular-nums; }
.figure span { display: block; font-weight: 560; }
.figure small { color: var(--quiet); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 560; color: var(--quiet); font-size: 13px; white-space: nowrap; }
th, td { padding: 8px 14px 8px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
.right { text-align: right; white-space: nowrap; }
td.message { min-width: 24ch; }
code { font: 13px/1.5 ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, monospace; }
.tag { display: inline-block; padding: 0 9px; border-radius: 99px; font-size: 13px; font-weight: 560; border: 1px solid currentColor; }
.tag.halt { color: var(--bad); } .tag.refused { color: var(--warn); } .tag.limited { color: var(--quiet); }
.tracks { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 14px; margin-top: 18px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 6px; }
.card h3 { font-size: 14px; margin: 0 0 4px; font-weight: 600; display: flex; justify-content: space-between; gap: 12px; }
.card h3 small { white-space: nowrap; color: var(--quiet); font-weight: 400; font-size: 13px; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 10px system-ui, sans-serif; fill: var(--quiet); }
svg path { fill: none; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
svg .recorded { stroke: var(--steel); } svg .predicted { stroke: var(--accent); }
svg .grid { stroke: var(--line); } svg .zero { stroke: var(--line); stroke-dasharray: 3 3; }
svg .equal { stroke: var(--steel); stroke-dasharray: 4 4; } svg .off { stroke: var(--accent); opacity: 0.45; }
svg circle { fill: var(--accent); }
.card .note { font-size: 13px; min-height: 2lh; margin: 4px 0; } .card table { margin: 8px 0; font-size: 13px; } .card td, .card th { padding-top: 3px; padding-bottom: 3px; }
.legend { display: flex; gap: 18px; color: var(--quiet); font-size: 13px; margin-top: 14px; }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; vertical-align: middle; margin-right: 6px; }
.legend .recorded { background: var(--steel); } .legend .predicted { background: var(--accent); }
svg.rate { height: 16px; min-width: 180px; }
svg.rate .track { fill: var(--line); } svg.rate .share { fill: var(--accent); }
svg.rate .interval { stroke: var(--ink); stroke-width: 2; }
td.bar { width: 45%; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; margin-top: 14px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; background: var(--line); }
figcaption { padding: 8px 12px 10px; font-size: 13px; line-height: 1.4; border-top: 3px solid var(--line); }
figure.good figcaption { border-color: var(--good); } figure.bad figcaption { border-color: var(--bad); }
footer { margin-top: 64px; color: var(--quiet); font-size: 13px; }
@media print { body { background: white; } main { padding: 0; } .card, figure, .figure, tr { break-inside: avoid; } }
`;
