"""How the page of `preview` looks, by day and by night."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f5f2; --card: #fff; --ink: #1d1d1f; --quiet: #6b6b70; --line: #dcdcd6;
  --tint: 88%; --edge: 42%; --colour: 75%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131416; --card: #1d1f22; --ink: #e9e9ec; --quiet: #9a9aa2; --line: #34363b;
    --tint: 27%; --edge: 66%; --colour: 48%;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; max-width: 78rem;
  background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; }
h2 small { font-weight: 400; color: var(--quiet); margin-left: .35rem; }
h3 {
  display: flex; flex-wrap: wrap; justify-content: space-between; gap: .25rem 1rem;
  margin: 0 0 .75rem; font-size: .85rem; font-weight: 600;
}
nav { display: flex; flex-wrap: wrap; gap: .35rem 1rem; margin: .35rem 0 1rem; }
nav a { color: inherit; text-underline-offset: .2em; }
.legend {
  display: flex; flex-wrap: wrap; gap: .35rem 1.5rem; margin: 0; font-size: .85rem;
  color: var(--quiet);
}
.counts { margin: 0 0 .25rem; font-size: .85rem; color: var(--quiet); }
details { margin-bottom: 1rem; font-size: .85rem; }
summary { cursor: pointer; color: var(--quiet); }
table { border-collapse: collapse; margin-top: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .05rem 1rem .05rem 0; }
th { font-weight: 400; color: var(--quiet); }
td { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
article {
  margin: 0 0 1rem; padding: .9rem 1.1rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem;
}
.facts { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-weight: 400; color: var(--quiet); }
.example { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; }
.pictures { display: flex; flex-wrap: wrap; gap: .75rem; max-width: 100%; }
figure { margin: 0; max-width: 100%; }
figure div {
  display: flex; gap: 2px; overflow-x: auto; padding: 3px; border-radius: .4rem;
  background: hsl(var(--hue) 65% var(--edge));
}
figure img { display: block; height: 150px; border-radius: .2rem; }
figure img.pixels { height: 84px; image-rendering: pixelated; }
figcaption {
  font-size: .8rem; font-weight: 600; text-align: center;
  color: hsl(var(--hue) 65% var(--edge));
}
.text {
  flex: 1 1 26rem; min-width: 0; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  line-height: 2;
}
.token {
  padding: .12em 0 .16em; unicode-bidi: isolate; color: var(--ink);
  background: hsl(var(--hue) var(--colour) var(--tint));
  box-shadow: inset 1px 0 var(--gap);
  --gap: var(--card);
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
}
.legend .token { padding: .12em .35em .16em; }
.picture-0, .token:not([class*="picture-"]) { background: none; --gap: var(--line); }
.scored {
  text-decoration: underline 2px hsl(var(--hue, 0) 65% var(--edge)); text-underline-offset: .32em;
  text-decoration-skip-ink: none;
}
.picture-0.scored, .scored:not([class*="picture-"]) { text-decoration-color: var(--quiet); }
.unscored { color: var(--quiet); opacity: .7; }
.sees {
  margin: 0 .15em 0 .3em; padding: .05em .5em; border-radius: 1em; font-size: .68rem;
  font-weight: 700; vertical-align: .15em; color: var(--card);
  background: hsl(var(--hue) 65% var(--edge));
}
.sees.picture-0 { background: var(--line); color: var(--quiet); }
.control { font: 600 .72em ui-monospace, monospace; padding-inline: .3em; }
.bytes { font: .72em ui-monospace, monospace; }
.break { color: var(--quiet); }
.segment {
  display: inline-block; margin: 0 .4em; padding: 0 .6em; border-radius: 1em; font-size: .75rem;
  line-height: 1.6; background: var(--line); color: var(--ink);
}
@media print { article { break-inside: avoid; } }
"""
