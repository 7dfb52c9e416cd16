"""The style sheet of the report page: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f7f6f2; --card: #ffffff; --sunk: #f1efe9; --ink: #1f2430; --quiet: #5d6472; --line: #e2dfd6;
  --generator: #0f766e; --reranker: #7a86b8; --track: #e6e3da;
  --cited: #0f766e; --cited-soft: #e3f1ee; --right: #1b6e3c; --right-soft: #e4f2e8;
  --wrong: #a6322a; --wrong-soft: #f9e7e4; --held: #7a5a12; --held-soft: #f6eed9;
  --series-1: #0f766e; --series-2: #b4541a; --series-3: #4f56b8; --series-4: #a8327e; --series-5: #2f77b5;
  --series-6: #66731a;
  --edge: rgb(31 36 48 / 16%); --shadow: 0 1px 2px rgb(31 36 48 / 6%), 0 8px 24px -12px rgb(31 36 48 / 14%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161b; --card: #1c1f26; --sunk: #23272f; --ink: #e9e7e1; --quiet: #a2a8b4; --line: #2f343e;
    --generator: #4fbfb2; --reranker: #97a3d6; --track: #2d323c;
    --cited: #4fbfb2; --cited-soft: #1b302f; --right: #7fce9b; --right-soft: #1b2f23;
    --wrong: #f0948b; --wrong-soft: #38211f; --held: #dfbf74; --held-soft: #322b1a;
    --series-1: #4fbfb2; --series-2: #f0a35e; --series-3: #a3a8f0; --series-4: #e58ac4; --series-5: #7fb8ef;
    --series-6: #c2cf5c;
    --edge: rgb(0 0 0 / 55%); --shadow: none;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
span, a, b, strong, small, td, th, dt, dd, li, figcaption, summary, label { unicode-bidi: isolate; }
.page { max-width: 68rem; margin: 0 auto; padding: 3.5rem 1.5rem 5rem; }
h1, h2, .question {
  font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, Georgia, serif; font-weight: 600;
}
h1 {
  font-size: clamp(1.9rem, 1.3rem + 2.4vw, 2.8rem); line-height: 1.15; letter-spacing: -.015em;
  margin: 0 0 .8rem;
}
h2 { font-size: 1.45rem; line-height: 1.25; margin: 3.5rem 0 .4rem; }
h3, h4 { font-size: .78rem; font-weight: 600; color: var(--quiet); margin: 0; }
p { margin: 0 0 .8rem; }
.lead { font-size: 1.08rem; color: var(--quiet); max-width: 44rem; }
.note { color: var(--quiet); font-size: .92rem; max-width: 44rem; }
.facts {
  display: flex; flex-wrap: wrap; gap: .9rem 2.6rem; margin: 1.8rem 0 0; padding: 1.1rem 0 0;
  border-top: 1px solid var(--line);
}
.facts div { min-width: 5.5rem; }
.facts dt { font-size: .78rem; color: var(--quiet); }
.facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.scroll {
  overflow-x: auto; margin: 1.1rem 0 .6rem; border: 1px solid var(--line); border-radius: 14px;
  box-shadow: var(--shadow);
  /* A shade at the right edge, hidden by what lies above it once there is nothing more to scroll to. */
  background:
    linear-gradient(to left, var(--card) 55%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--edge), transparent) right / 1.1rem 100% no-repeat scroll, var(--card);
}
.scroll:focus-visible { outline: 2px solid var(--generator); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { padding: .62rem 1rem; text-align: right; white-space: nowrap; }
thead th {
  font-size: .78rem; font-weight: 600; color: var(--quiet); border-bottom: 1px solid var(--line);
  vertical-align: bottom;
}
tbody th, thead th:first-child { text-align: left; }
tbody th {
  font-weight: 500; position: sticky; left: 0; background: var(--card); white-space: normal; min-width: 7.2rem;
}
th small { display: block; font-weight: 400; font-size: .78rem; line-height: 1.4; color: var(--quiet); }
td b { font-weight: 700; }
tr.heading th { background: var(--sunk); font-size: .78rem; font-weight: 600; color: var(--held); }
tr.heading span { position: sticky; left: 1rem; display: inline-block; max-width: calc(100vw - 4.5rem); }
.wraps td { white-space: normal; min-width: 7.5rem; } .wraps td, .wraps thead th { text-align: left; }
.apart th, .apart td { color: var(--quiet); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tr.highlighted > * { background: var(--cited-soft); font-weight: 650; }
tr.highlighted th { box-shadow: inset 3px 0 0 var(--cited); }
.contents { list-style: none; margin: 1.2rem 0 0; padding: 0; columns: 2; column-gap: 2.4rem; }
.contents li { break-inside: avoid; display: flex; gap: .65rem; padding: .3rem 0; }
.contents a { color: inherit; text-decoration-color: var(--line); text-underline-offset: .2em; }
.contents a:hover { text-decoration-color: currentColor; }
.sign { flex: none; width: 1.3rem; text-align: center; font-weight: 700; }
.right {
  color: var(--right); } .wrong { color: var(--wrong); } .held { color: var(--held);
  } .plain { color: var(--quiet);
}
article {
  background: var(--card); border: 1px solid var(--line); border-radius: 18px;
  padding: 1.7rem 1.9rem 1.6rem; margin: 1.6rem 0; box-shadow: var(--shadow); scroll-margin-top: 1rem;
}
.kind {
  font-size: .84rem; color: var(--quiet); margin: 0 0 .35rem; display: flex;
  justify-content: space-between; gap: 1rem;
}
.asked { display: flex; gap: 1.4rem; align-items: flex-start; }
.asked > .said-and-asked { flex: 1; min-width: 0; }
h3.question { color: var(--ink); font-size: 1.42rem; line-height: 1.3; margin: 0 0 .9rem; text-wrap: pretty; }
.own { flex: none; display: flex; gap: .6rem; margin: 0; }
.own img {
  width: 7rem; height: 7rem; object-fit: contain; border-radius: 10px; background: var(--sunk);
  display: block;
}
.own figure { margin: 0; }
.own > * { margin: 0; }
.own figcaption { font-size: .76rem; color: var(--quiet); margin-top: .25rem; text-align: center; }
.answer { display: flex; flex-wrap: wrap; align-items: baseline; gap: .5rem .9rem; margin: 0 0 .5rem; }
.answer strong { font-size: 1.5rem; line-height: 1.25; }
.answer strong.held { font-size: 1.08rem; font-weight: 600; }
.verdict { font-size: .86rem; font-weight: 600; padding: .16rem .7rem; border-radius: 99px; }
.verdict.right { background: var(--right-soft); } .verdict.wrong { background: var(--wrong-soft); }
.verdict.held { background: var(--held-soft); }
.said { font-size: .92rem; color: var(--quiet); margin: 0 0 .3rem; }
.evidence {
  list-style: none; margin: .7rem 0 0; padding: 0; display: grid; gap: .9rem;
  grid-template-columns: repeat(auto-fill, minmax(13.4rem, 1fr));
}
.shown { margin-top: 1.4rem; }
.item {
  border: 1px solid var(--line); border-radius: 13px; overflow: hidden; display: flex;
  flex-direction: column; background: var(--card);
}
.item.cited { border-color: var(--cited); box-shadow: 0 0 0 1px var(--cited); }
.item > img { height: auto; }
.item > img, .blank {
  width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: var(--sunk); display: block;
}
.blank {
  display: grid; place-items: center; font-size: .84rem; color: var(--quiet); padding: 1rem;
  text-align: center;
}
.quote {
  background: var(--sunk); padding: 1rem; aspect-ratio: 4 / 3; overflow: auto; margin: 0;
  font: 1.06rem/1.45 Charter, Georgia, serif; display: grid; align-content: safe center;
}
.words { padding: .75rem .9rem 0; font-size: .92rem; flex: 1; }
.words p { margin: 0 0 .35rem; }
.words .name { font-weight: 600; }
.words .id { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.words .id, .found .id { font-size: .78rem; color: var(--quiet); }
.tags { display: flex; flex-wrap: wrap; gap: .35rem; padding: .65rem .9rem 0; min-height: 2.1rem; }
.tag {
  font-size: .76rem; font-weight: 600; padding: .08rem .55rem; border-radius: 99px;
  background: var(--sunk); color: var(--quiet);
}
.tag.cited { background: var(--cited); color: var(--card); }
.tag.needed { background: var(--right-soft); color: var(--right); }
.tag.held { background: var(--held-soft); color: var(--held); }
.bars { padding: .6rem .9rem .9rem; display: grid; gap: .4rem; }
.bar {
  display: grid; grid-template-columns: 4.5rem 1fr 2.5rem; gap: .55rem; align-items: center;
  font-size: .78rem; color: var(--quiet);
}
.bar b { color: var(--ink); font-weight: 600; text-align: right; font-variant-numeric: tabular-nums; }
.track { height: .5rem; border-radius: 99px; background: var(--track); overflow: hidden; }
.track i { display: block; height: 100%; border-radius: 99px; background: var(--generator); }
.track i.reranker { background: var(--reranker); }
details { margin-top: 1.2rem; border-top: 1px solid var(--line); padding-top: .8rem; }
summary { cursor: pointer; font-size: .9rem; color: var(--quiet); }
summary:focus-visible { outline: 2px solid var(--generator); outline-offset: 3px; border-radius: 4px; }
.found { list-style: none; margin: .6rem 0 0; padding: 0; }
.found li {
  display: grid; grid-template-columns: 3rem 1fr 14rem; gap: .9rem; align-items: center; padding: .45rem 0;
  font-size: .9rem;
}
.found li + li { border-top: 1px solid var(--line); }
.found img, .found .thumb {
  width: 3rem; height: 3rem; object-fit: contain; border-radius: 7px; background: var(--sunk);
  display: grid; place-items: center; font-size: .68rem; color: var(--quiet);
}
.legend {
  display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; list-style: none; padding: 0; margin: .9rem 0 0;
  font-size: .88rem; color: var(--quiet);
}
.legend .swatch {
  display: inline-block; width: 1.5rem; height: .5rem; border-radius: 99px; margin-right: .5rem;
  vertical-align: middle; background: var(--generator);
}
.legend .swatch.reranker { background: var(--reranker); }
.legend .swatch.box {
  height: .95rem; width: 1.2rem; border-radius: 5px; background: none; border: 2px solid var(--cited);
}
footer {
  margin-top: 3rem; padding-top: 1.1rem; border-top: 1px solid var(--line); font-size: .86rem;
  color: var(--quiet);
}
@media (max-width: 44rem) {
  .page { padding: 2rem 1rem 3rem; }
  .contents { columns: 1; }
  article { padding: 1.2rem 1.1rem 1.1rem; border-radius: 15px; }
  h3.question { font-size: 1.25rem; }
  .asked { flex-direction: column-reverse; gap: .9rem; }
  .asked > .said-and-asked { width: 100%; }
  .evidence { grid-template-columns: 1fr; }
  .item.text .quote { aspect-ratio: auto; }
  .found li { grid-template-columns: 3rem 1fr; }
  .found .bar { grid-column: 1 / -1; }
  th, td { padding: .55rem .6rem; }
}
@media print {
  body { background: none; } article, .scroll { box-shadow: none; break-inside: avoid; }
  .track i, .track, tr.highlighted > * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
""".strip()
