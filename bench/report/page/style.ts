/** The page's look, light and dark, without anything from elsewhere. */

export const STYLE = `
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5c6570;--rule:#d9dee4;--paper:#fff;--own:#1f6feb;--raw:#8b949e;--median:#b42318;--band:#1f6feb22}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--rule:#30363d;--paper:#0d1117;--own:#58a6ff;--raw:#8b949e;--median:#ff8b7b;--band:#58a6ff22}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.05rem;margin:2.25rem 0 .5rem}
p{max-width:46rem;margin:.4rem 0;color:var(--soft)}.note{color:var(--ink);border-left:3px solid var(--median);padding-left:.75rem}
svg{width:100%;height:auto;display:block;font:12px system-ui,sans-serif;fill:var(--ink)}
.grid{stroke:var(--rule)}.tick{fill:var(--soft)}.figure{font-variant-numeric:tabular-nums}
.dot{fill-opacity:.45}.own{fill:var(--own)}.raw{fill:var(--raw)}.interval{fill:var(--median);fill-opacity:.25}
.median{stroke:var(--median);stroke-width:2.5}.tail{stroke:var(--soft);stroke-width:1.5}
.band{fill:var(--band)}.rise{fill:none;stroke:var(--own);stroke-width:2}.host{stroke:var(--median);stroke-dasharray:5 4}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}th{color:var(--soft);font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code,pre{font:.8rem ui-monospace,monospace}pre{overflow-x:auto;padding:.75rem;border:1px solid var(--rule)}
.confirmed td:last-child{color:var(--own)}.refuted-better td:last-child,.refuted-worse td:last-child{color:var(--median)}
`.trim();
