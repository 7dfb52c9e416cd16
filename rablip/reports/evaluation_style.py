"""The style sheet of evaluation and comparison pages: large figures, charts, filters and folded questions."""

from __future__ import annotations

__all__ = ["EVALUATION_STYLE"]

EVALUATION_STYLE = """
section { scroll-margin-top: 1rem; }
h3 { margin: 1.6rem 0 0; font-size: 1rem; color: var(--ink); }
.parts { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1.8rem 0 0; }
.parts a {
  font-size: .9rem; color: var(--ink); text-decoration: none; padding: .4rem .9rem; border-radius: 99px;
  border: 1px solid var(--line); background: var(--card);
}
.parts a:hover { border-color: var(--generator); }
.parts a:focus-visible { outline: 2px solid var(--generator); outline-offset: 2px; }
.tiles {
  list-style: none; margin: 1.8rem 0 0; padding: 0; display: grid; gap: .9rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr));
}
.tiles li {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.15rem;
  box-shadow: var(--shadow); display: flex; flex-direction: column;
}
.tiles span { font-size: .84rem; color: var(--quiet); margin-bottom: auto; }
.tiles strong {
  font-size: 2.05rem; line-height: 1.2; letter-spacing: -.02em; font-weight: 650; margin: .25rem 0 .15rem;
  font-variant-numeric: tabular-nums;
}
.tiles small { font-size: .8rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
section .facts {
  border-top: 0; margin: 1rem 0 0; padding: 0; display: grid; gap: 1rem 2.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 13.5rem), 1fr));
}
.command {
  background: var(--sunk); border-radius: 10px; padding: .85rem 1rem; margin: 1.3rem 0 0; white-space: pre-wrap;
  font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
.problems {
  margin: 1.3rem 0 0; padding: .8rem 1.1rem; border: 0; border-radius: 10px; background: var(--held-soft);
}
.problems summary { color: var(--held); font-weight: 600; }
.problems ul { margin: .5rem 0 0; padding-left: 1.2rem; font-size: .92rem; }
.charts {
  display: grid; gap: 1.1rem; margin-top: 1.2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
.chart {
  margin: 1.1rem 0 0; padding: 1.25rem 1.35rem 1.1rem; min-width: 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow);
}
.charts .chart { margin: 0; }
.chart figcaption { font-weight: 600; margin-bottom: 1rem; }
.chart .note { margin: .8rem 0 0; }
.chart details { margin-top: .9rem; }
.chart details .scroll { box-shadow: none; margin-bottom: 0; }
.chart > svg { display: block; overflow: visible; }
.chart > svg.bar-chart { width: calc(100% - 4rem); }
.chart > svg.line-chart { width: calc(100% - 3.4rem); margin-left: 2.6rem; }
.chart > svg.square { max-width: 27rem; }
@media (min-width: 60rem) {
  .chart:has(> svg.square):only-child { display: grid; grid-template-columns: minmax(0, 30rem) 1fr; gap: 0 2.4rem; }
  .chart:has(> svg.square):only-child > :not(svg, .note) { grid-column: 1 / -1; }
  .chart:has(> svg.square):only-child > .note { align-self: center; }
}
.chart text { font-size: 13px; fill: var(--ink); font-variant-numeric: tabular-nums; }
.chart text.strong, .chart text.value { font-weight: 600; }
.chart text.tick, .chart text.axis { font-size: 11.5px; fill: var(--quiet); }
.chart text.small { font-size: 10.5px; }
.s1 { --series: var(--series-1); } .s2 { --series: var(--series-2); } .s3 { --series: var(--series-3); }
.s4 { --series: var(--series-4); } .s5 { --series: var(--series-5); } .s6 { --series: var(--series-6); }
.grid { stroke: var(--line); } rect.track { fill: var(--track); } .fill { fill: var(--series); }
.notch { stroke: var(--card); stroke-width: 1.5; } .halo { stroke: var(--card); stroke-width: 4; opacity: .7; }
.whisker { stroke: var(--ink); stroke-width: 1.5; }
.curve { fill: none; stroke: var(--series); stroke-width: 2.25; overflow: visible; }
.band { fill: var(--series); opacity: .15; overflow: visible; }
.d2 { stroke-dasharray: 7 4; } .d3 { stroke-dasharray: 2 4; }
.point { fill: var(--series); stroke: var(--card); stroke-width: 1.5; stroke-dasharray: none; }
.ring { fill: var(--card); stroke: var(--series); stroke-width: 2; stroke-dasharray: none; }
.accuracy { fill: var(--series-1); opacity: .25; } .tally { fill: var(--reranker); opacity: .55; }
.diagonal { stroke: var(--quiet); stroke-dasharray: 5 4; }
.filters { margin: 1.4rem 0 0; display: grid; gap: .9rem; }
.filters fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
.filters legend { font-size: .78rem; font-weight: 600; color: var(--quiet); padding: 0; margin-bottom: .4rem; }
.filters details { margin: 0; border: 0; padding: 0; }
.filters details:has(input:checked) > summary { display: inline-block; }
.filters fieldset:has(input:checked:not(.all)) summary { color: var(--cited); font-weight: 600; }
.filters fieldset:has(input:checked:not(.all)) summary::after { content: " (one chosen)"; }
.filters details .chips { margin-top: .6rem; }
.chips { display: flex; flex-wrap: wrap; gap: .45rem; }
.chip {
  position: relative; font-size: .9rem; padding: .38rem .85rem; border-radius: 99px; cursor: pointer;
  border: 1px solid var(--line); background: var(--card); max-width: 100%;
}
.chip input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: inherit; width: 100%; height: 100%; }
.chip b { font-weight: 400; color: var(--quiet); font-variant-numeric: tabular-nums; }
.chip:hover { border-color: var(--generator); }
.chip:has(input:checked) { background: var(--cited); border-color: var(--cited); color: var(--card); }
.chip:has(input:checked) b { color: inherit; }
.chip:has(input:disabled) { opacity: .5; cursor: default; border-color: var(--line); }
.chip:has(input:focus-visible) { outline: 2px solid var(--generator); outline-offset: 2px; }
.list { display: flex; flex-direction: column; counter-reset: shown; margin-top: 1.1rem; }
.count {
  order: -1; position: sticky; top: 0; z-index: 2; margin: 0 0 .5rem; padding: .6rem 0; background: var(--paper);
  font-size: .9rem; color: var(--quiet); display: flex; gap: 1rem; justify-content: space-between;
  border-bottom: 1px solid var(--line);
}
.count span::before { content: counter(shown) " "; color: var(--ink); font-weight: 600; }
.count a { color: inherit; text-underline-offset: .2em; }
.entry {
  counter-increment: shown; margin: .6rem 0 0; padding: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; scroll-margin-top: 3.2rem;
}
.entry > summary {
  list-style: none; display: flex; gap: .75rem; align-items: flex-start; padding: .9rem 1.1rem; font-size: 1rem;
  color: var(--ink); border-radius: 14px;
}
.entry > summary::-webkit-details-marker { display: none; }
.entry > summary:hover .question { text-decoration: underline; text-decoration-color: var(--line); }
.entry > summary::after {
  content: ""; flex: none; width: .5rem; height: .5rem; margin: .45rem .1rem 0 auto; transform: rotate(45deg);
  border: solid var(--quiet); border-width: 0 1.5px 1.5px 0;
}
.entry[open] > summary::after { transform: rotate(-135deg); margin-top: .65rem; }
.line { flex: 1; min-width: 0; display: grid; gap: .3rem; }
.line .question { font-size: 1.08rem; line-height: 1.35; }
.entry:not([open]) .line .question, .entry:not([open]) .outcome strong {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden;
}
.outcome { display: flex; flex-wrap: wrap; gap: .35rem .7rem; align-items: baseline; min-width: 0; }
.outcome strong { font-weight: 600; max-width: 100%; }
.outcome .letter + strong { max-width: calc(100% - 1.6rem); }
.outcome strong.held { font-weight: 500; }
.about { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .8rem; color: var(--quiet); }
.thumbs { flex: none; display: flex; flex-wrap: wrap; gap: .5rem; justify-content: flex-end; max-width: 50%; }
.thumbs img { width: 3.6rem; height: 3.6rem; object-fit: cover; border-radius: 9px; background: var(--sunk); }
.entry[open] .thumbs img { width: 11rem; height: auto; max-width: 100%; }
.inside { padding: .1rem 1.1rem 1.2rem; }
.inside .shown { margin-top: 1rem; }
.found .tag { margin-left: .5rem; }
.inside .quote { aspect-ratio: auto; min-height: 8rem; max-height: 20rem; }
.answers { display: grid; gap: 1.4rem; grid-template-columns: 1fr 1fr; margin-top: .4rem; }
.answers > div { min-width: 0; }
.answers h4 { margin-bottom: .3rem; }
.answers .answer strong { font-size: 1.2rem; }
.answers .evidence { grid-template-columns: repeat(auto-fill, minmax(min(100%, 12rem), 1fr)); }
.answers .found li { grid-template-columns: 3rem 1fr; }
.answers .found .bar { grid-column: 1 / -1; }
.letter { font-weight: 700; }
.sign.letter { background: var(--right-soft); color: var(--right); border-radius: 6px; width: 1.6rem; }
@media (max-width: 44rem) {
  .chip, .parts a { padding: .5rem .95rem; }
  .chart { padding: 1.1rem 1rem 1rem; }
  .entry > summary { padding: .9rem .9rem; gap: .6rem; }
  .inside { padding: .1rem .9rem 1.1rem; }
  .entry[open] > summary { flex-wrap: wrap; }
  .entry[open] .line { flex-basis: calc(100% - 4rem); }
  .entry[open] .thumbs { order: 3; max-width: 100%; width: 100%; justify-content: flex-start; }
  .entry[open] .thumbs img { width: 100%; max-width: 16rem; }
  .answers { grid-template-columns: 1fr; }
  section .facts, header .facts { display: grid; grid-template-columns: 1fr; gap: .5rem; }
  .facts div { display: grid; grid-template-columns: 6.2rem 1fr; gap: .8rem; align-items: baseline; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .tiles strong { font-size: 1.7rem; }
}
@media print {
  .filters, .parts, .count { display: none; }
  .chart { box-shadow: none; break-inside: avoid; }
  .chart svg * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
""".strip()
