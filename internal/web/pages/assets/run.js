// The page of a run: states in the graph, the way to and from the package that is pointed at, and rows that unfold.
(function () {
  'use strict';
  const WORDS = { f: 'failed', b: 'blocked', r: 'running', q: 'queued', w: 'waiting', x: 'cancelled', s: 'succeeded', u: 'reused' };
  const $ = s => document.querySelector(s);
  let svg = null, nodes = [], needs = [], neededBy = [], lines = [], letters = '';

  function learn() {
    const now = $('[data-graph] svg');
    if (!now || now === svg && nodes.length) return !!now;
    svg = now; nodes = []; needs = []; neededBy = []; lines = [];
    svg.querySelectorAll('.nd').forEach(n => { nodes[+n.id.slice(1)] = n; });
    nodes.forEach((n, i) => { needs[i] = n.dataset.needs ? n.dataset.needs.split(' ').map(Number) : []; neededBy[i] = neededBy[i] || []; });
    needs.forEach((list, i) => list.forEach(n => (neededBy[n] = neededBy[n] || []).push(i)));
    svg.querySelectorAll('.edge').forEach(e => { (lines[+e.dataset.from] = lines[+e.dataset.from] || []).push(e); });
    return true;
  }
  function states(force) {
    const holder = $('#graph-states');
    if (!holder || !learn()) return;
    const now = holder.dataset.letters || '';
    if (now === letters && !force) return;
    for (let i = 0; i < nodes.length; i++) {
      const word = WORDS[now[i]], n = nodes[i];
      if (!word || !n || n.classList.contains('is-' + word) && !force) continue;
      n.setAttribute('class', 'nd is-' + word + (n.classList.contains('critical') ? ' critical' : ''));
      n.querySelector('use').setAttribute('href', '#i-' + word);
    }
    lines.forEach((list, i) => list && list.forEach(e => e.classList.toggle('bad', now[i] === 'f' || now[i] === 'b')));
    letters = now;
  }
  // reach follows numbers from one on.
  function reach(from, next) {
    const seen = new Set([from]), queue = [from];
    while (queue.length) for (const n of next[queue.pop()] || []) if (!seen.has(n)) { seen.add(n); queue.push(n); }
    return seen;
  }
  let lit = -1;
  function point(at) {
    if (at === lit || !svg) return;
    lit = at;
    svg.querySelectorAll('.lit').forEach(e => e.classList.remove('lit'));
    svg.classList.toggle('points', at >= 0);
    if (at < 0) return;
    const before = reach(at, needs), behind = reach(at, neededBy);
    for (const n of before) { nodes[n].classList.add('lit'); if (n !== at) (lines[n] || []).forEach(e => e.classList.add('lit')); }
    for (const n of behind) { nodes[n].classList.add('lit'); if (n !== at || neededBy[n].length) (lines[n] || []).forEach(e => e.classList.add('lit')); }
  }
  const nodeAt = e => { const n = e.target.closest && e.target.closest('[data-graph] .nd'); return n ? +n.id.slice(1) : -1; };
  document.addEventListener('mouseover', e => { if (svg) point(nodeAt(e)); });
  document.addEventListener('focusin', e => { if (svg) point(nodeAt(e)); });
  document.addEventListener('parts', e => { states(e.detail.includes('graph')); });
  document.addEventListener('click', e => {
    const b = e.target.closest('[data-unfold]');
    if (!b) return;
    const body = document.getElementById(b.dataset.unfold), open = !body.hasAttribute('open');
    body.toggleAttribute('open', open);
    b.setAttribute('aria-expanded', open);
  });
  states(true);
})();
