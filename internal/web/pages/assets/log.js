// The log viewer: <section data-log="/builds/7/log" data-attempt="1">. Only lines that are seen, and some around them, are in the page;
// what a line is made of comes from the server, text by text, and becomes text nodes: nothing of a log is markup.
(function () {
  'use strict';
  const box = document.querySelector('[data-log]');
  if (!box) return;
  const base = box.dataset.log, $ = s => box.querySelector(s), view = $('.log'), pane = $('.logpane');
  const CHUNK = 200, HEAD = 31, params = new URLSearchParams({ attempt: box.dataset.attempt });
  let facts = null, items = [], wrap = false, follow = false, mine = 0, line = 20, wide = 0;
  const open = new Map(), chunks = new Map(); // open folds by first line; lines by number of chunk
  const KEPT = 'log-folds', me = base + ' ' + box.dataset.attempt; // what somebody folded of the log he was at last
  let errors = new Set(), range = null, hits = [], total = 0, now = -1, query = '', asked = null;

  const get = (what, more) => fetch(base + '/' + what + '?' + new URLSearchParams([...params, ...Object.entries(more || {})]), { headers: { Accept: 'application/json' } })
    .then(r => { if (!r.ok) throw new Error(r.status); return r.json(); });

  // --- what there is, from top to bottom: heads of folds, and runs of lines ------------------------------------
  function lay() {
    const was = new Map(items.filter(i => i.h && !i.head).map(i => [i.from + ':' + i.to, i.h]));
    items = [];
    const one = facts.sections.length <= 1;
    facts.sections.forEach((s, n) => {
      const end = n + 1 < facts.sections.length ? facts.sections[n + 1].from - 1 : facts.lines;
      if (!one) items.push({ head: s, n, h: HEAD });
      if (one || open.get(s.from)) {
        for (let from = s.from; from <= end;) {
          const to = Math.min(end, Math.floor((from - 1) / CHUNK) * CHUNK + CHUNK);
          items.push({ from, to, h: (wrap && was.get(from + ':' + to)) || (to - from + 1) * line });
          from = to + 1;
        }
      }
    });
    const all = allOpen();
    foldButton.hidden = facts.sections.length < 2; foldButton.setAttribute('aria-pressed', all); foldButton.setAttribute('aria-label', (all ? 'Fold' : 'Open') + ' all phases');
    place();
  }
  function place() {
    let top = 0;
    for (const i of items) { i.top = top; top += i.h; }
    pane.style.height = top + 'px';
  }
  const itemOf = n => items.find(i => !i.head && n >= i.from && n <= i.to);
  function unfold(n) {
    if (itemOf(n)) return;
    let section = null;
    for (const s of facts.sections) if (s.from <= n) section = s;
    if (section) { open.set(section.from, true); lay(); }
  }

  // --- lines ---------------------------------------------------------------------------------------------------
  function load(k) {
    let c = chunks.get(k);
    if (c && (c.lines.length === CHUNK || c.upTo >= facts.lines || c.busy)) return;
    if (!c) chunks.set(k, c = { lines: [], upTo: 0, busy: false });
    c.busy = true;
    const upTo = facts.lines;
    get('lines', { from: k * CHUNK + 1, count: CHUNK }).then(a => {
      c.lines = a.lines; c.upTo = upTo; c.busy = false; c.at = Date.now();
      for (const i of items) if (i.el && !i.head && Math.floor((i.from - 1) / CHUNK) === k) { i.el.remove(); i.el = null; }
      draw();
    }, () => { c.busy = false; setTimeout(draw, 1000); });
    if (chunks.size > 60) { // a page left open does not grow
      const shown = new Set(items.filter(i => i.el && !i.head).map(i => Math.floor((i.from - 1) / CHUNK)));
      for (const old of chunks.keys()) if (!shown.has(old) && old !== k && chunks.size > 40) chunks.delete(old);
    }
  }
  // mark puts <mark> around what is searched for, which may reach over several texts.
  function mark(span, current) {
    const text = span.textContent.toLowerCase(), spots = [];
    for (let at = text.indexOf(query); at >= 0 && spots.length < 100; at = text.indexOf(query, at + query.length)) spots.push(at);
    for (const at of spots.reverse()) {
      const walk = document.createTreeWalker(span, NodeFilter.SHOW_TEXT);
      let pos = 0;
      const parts = [];
      for (let n; (n = walk.nextNode()); pos += n.data.length) {
        const a = Math.max(at - pos, 0), b = Math.min(at + query.length - pos, n.data.length);
        if (a < b) parts.push([n, a, b]);
      }
      for (const [n, a, b] of parts) {
        const r = document.createRange(), m = document.createElement('mark');
        r.setStart(n, a); r.setEnd(n, b);
        if (current) m.className = 'now';
        r.surroundContents(m);
      }
    }
  }
  function row(n, data) {
    const el = document.createElement('div'), a = document.createElement('a'), span = document.createElement('span');
    el.className = 'll'; el.dataset.n = n;
    a.href = '#L' + n; a.textContent = n;
    let kind = '', spans = data;
    if (Array.isArray(data)) [kind, spans] = data;
    if (typeof spans === 'string') span.textContent = spans;
    else for (const [cls, text] of spans || []) {
      if (!cls) { span.append(text); continue; }
      const s = document.createElement('span');
      s.className = cls; s.textContent = text; span.append(s);
    }
    if (kind) el.classList.add(kind);
    if (errors.has(n)) el.classList.add('error');
    if (range && n >= range[0] && n <= range[1]) el.classList.add('range');
    if (query) mark(span, hits[now] === n);
    if (facts.first === n) {
      el.classList.add('first', 'error');
      const pin = document.createElement('span');
      pin.className = 'pin'; pin.textContent = 'first error'; span.append(pin);
    }
    el.append(a, span);
    return el;
  }
  function headRow(i) {
    const s = i.head, b = document.createElement('button');
    b.type = 'button'; b.className = 'fold is-' + s.state; b.setAttribute('aria-expanded', !!open.get(s.from)); b.dataset.from = s.from;
    const icon = (name, cls) => { const v = document.createElementNS('http://www.w3.org/2000/svg', 'svg'), u = document.createElementNS('http://www.w3.org/2000/svg', 'use'); v.setAttribute('class', 'i ' + cls); v.setAttribute('aria-hidden', 'true'); u.setAttribute('href', '#i-' + name); v.append(u); return v; };
    const t = document.createElement('span'), note = document.createElement('small'), time = document.createElement('small');
    t.className = 'cut'; t.textContent = s.title + ' '; note.textContent = s.note || ''; note.className = 'hide-s'; t.append(note);
    time.className = 't'; time.textContent = s.time || '';
    const word = document.createElement('span'); word.className = 'vh'; word.textContent = s.state;
    b.append(icon('chr', 'ch'), icon(s.state, 'si' + (s.state === 'running' ? ' spin' : '')), t, time, word);
    b.onclick = () => {
      const y = i.top - view.scrollTop;
      open.set(s.from, !open.get(s.from));
      keep(); lay(); clear();
      const again = items.find(x => x.head && x.head.from === s.from);
      if (again) scroll(again.top - y);
      draw();
      const el = again && again.el; if (el) el.firstChild.focus({ preventScroll: true });
    };
    const at = document.createElement('div'); // as wide as the widest line; its head is as wide as the window
    at.append(b);
    return at;
  }
  const allOpen = () => facts.sections.every(s => open.get(s.from));
  function keep() { try { sessionStorage.setItem(KEPT, JSON.stringify([me, [...open]])); } catch (e) { /* it is not kept then */ } }
  function kept() {
    try {
      const [of, folds] = JSON.parse(sessionStorage.getItem(KEPT) || '[]');
      if (of === me) for (const [from, is] of folds) open.set(from, is);
    } catch (e) { /* nothing is kept */ }
  }
  function foldAll() {
    if (!facts) return;
    const to = !allOpen(), n = itemAtTop();
    for (const s of facts.sections) open.set(s.from, to);
    if (!to) setFollow(false); // the end is not to be seen
    keep(); lay(); clear();
    scroll(0);
    if (to && n > 1 && !follow) show(n);
    draw();
  }
  function clear() { pane.textContent = ''; for (const i of items) i.el = null; }
  function draw() {
    if (!facts) return;
    const top = view.scrollTop - 800, bottom = view.scrollTop + view.clientHeight + 800;
    let moved = 0, before = null; // what is read, and reached by Tab, is in the order of the log
    for (const i of items) {
      const seen = i.top + i.h > top && i.top < bottom;
      if (!seen) { if (i.el) { i.el.remove(); i.el = null; } continue; }
      if (i.el) { i.el.style.top = i.top + 'px'; before = i.el; continue; }
      if (i.head) i.el = headRow(i);
      else {
        const k = Math.floor((i.from - 1) / CHUNK), c = chunks.get(k);
        load(k);
        i.el = document.createElement('div');
        if (c && c.lines.length) for (let n = i.from; n <= i.to; n++) { const d = c.lines[n - 1 - k * CHUNK]; if (d !== undefined) i.el.append(row(n, d)); }
        i.el.dataset.full = c && c.lines.length ? 1 : '';
      }
      i.el.classList.add('at');
      i.el.style.top = i.top + 'px';
      if (before) before.after(i.el); else pane.prepend(i.el);
      before = i.el;
      if (!i.head && i.el.dataset.full && wrap) {
        const h = i.el.offsetHeight;
        if (h && h !== i.h) { if (i.top < view.scrollTop) moved += h - i.h; i.h = h; place(); for (const o of items) if (o.el) o.el.style.top = o.top + 'px'; }
      }
      if (!i.head && !wrap) wide = Math.max(wide, i.el.scrollWidth);
    }
    pane.style.minWidth = wrap ? '' : wide + 'px';
    if (moved) scroll(view.scrollTop + moved);
    if (follow) bottomOut();
  }
  function redraw() { clear(); draw(); }
  function scroll(y) { mine = Date.now(); view.scrollTop = y; }
  function bottomOut() { scroll(pane.offsetHeight); }
  let frame = 0, before = 0;
  view.addEventListener('scroll', () => {
    const y = view.scrollTop;
    if (follow && y < before - 4 && Date.now() - mine > 120) setFollow(false); // whoever reads is left alone
    else if (!follow && facts && facts.running && y > before && y + view.clientHeight >= pane.offsetHeight - 2 && Date.now() - mine > 120) setFollow(true);
    before = y;
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); });
  }, { passive: true });
  view.addEventListener('wheel', e => { if (e.deltaY < 0) setFollow(false); }, { passive: true });
  addEventListener('resize', () => { if (wrap) { for (const i of items) if (!i.head) i.h = (i.to - i.from + 1) * line; place(); } redraw(); });

  function show(n, centre) {
    unfold(n);
    const i = itemOf(n);
    if (!i) return;
    setFollow(false);
    const fine = () => {
      const el = i.el && i.el.querySelector('[data-n="' + n + '"]');
      if (!el) return false;
      const y = i.top + el.offsetTop;
      if (centre || y < view.scrollTop + 20 || y > view.scrollTop + view.clientHeight - 60) scroll(Math.max(0, y - view.clientHeight / 3));
      return true;
    };
    scroll(Math.max(0, i.top + (n - i.from) * line - view.clientHeight / 3));
    draw();
    let tries = 0;
    const again = () => { if (!fine() && tries++ < 100) setTimeout(again, 30); else draw(); };
    again();
  }

  // --- addresses of lines ---------------------------------------------------------------------------------------
  function fromHash(jump) {
    const m = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    range = m ? [Math.min(+m[1], +(m[2] || m[1])), Math.max(+m[1], +(m[2] || m[1]))] : null;
    if (jump && range) { show(Math.min(range[0], facts.lines), true); }
    redraw();
    if (location.hash === '#first-error' && facts.first) show(facts.first, true);
  }
  pane.addEventListener('click', e => {
    const a = e.target.closest('.ll > a');
    if (!a) return;
    e.preventDefault();
    const n = +a.textContent;
    const hash = e.shiftKey && range ? '#L' + Math.min(range[0], n) + '-L' + Math.max(range[0], n) : '#L' + n;
    history.replaceState(null, '', hash);
    fromHash(false);
  });
  addEventListener('hashchange', () => fromHash(true));

  // --- search ----------------------------------------------------------------------------------------------------
  const find = $('.find input'), count = $('[data-hits]');
  function told() { count.textContent = query ? (total ? (now + 1) + ' of ' + total : 'none') : ''; }
  function go(by) {
    if (!hits.length) return;
    now = (now + by + hits.length) % hits.length;
    told(); redraw(); show(hits[now]);
  }
  let due = 0;
  function search() {
    const text = find.value;
    if (asked) asked = null;
    if (!text) { query = ''; hits = []; total = 0; now = -1; told(); redraw(); return; }
    const me = asked = {};
    count.textContent = '…';
    get('search', { q: text }).then(a => {
      if (asked !== me) return;
      query = text.replace(/[A-Z]/g, c => c.toLowerCase()); hits = a.lines; total = a.total;
      const i = itemAtTop();
      now = hits.findIndex(n => n >= i); if (now < 0 && hits.length) now = 0;
      told(); redraw();
      if (hits.length) show(hits[now]);
    }, () => { if (asked === me) count.textContent = 'failed'; });
  }
  function itemAtTop() { const i = items.find(x => !x.head && x.top + x.h > view.scrollTop); return i ? i.from + Math.max(0, Math.floor((view.scrollTop - i.top) / line)) : 1; }
  find.addEventListener('input', () => { clearTimeout(due); due = setTimeout(search, 200); });
  find.addEventListener('keydown', e => {
    if (e.key === 'Enter') { e.preventDefault(); clearTimeout(due); if (find.value.toLowerCase() === query && hits.length) go(e.shiftKey ? -1 : 1); else search(); }
    if (e.key === 'Escape' && hits.length) { e.preventDefault(); view.focus({ preventScroll: true }); } // for n and N
    else if (e.key === 'Escape') { find.value = ''; search(); }
  });
  document.addEventListener('keydown', e => { if (e.key === 'Escape' && query && e.target !== find && !document.querySelector('dialog[open]')) { find.value = ''; search(); } });
  $('[data-next]').onclick = () => go(1);
  $('[data-prev]').onclick = () => go(-1);

  // --- buttons ------------------------------------------------------------------------------------------------------
  const wrapButton = $('[data-wrap]'), followButton = $('[data-follow]'), firstButton = $('[data-first]'), foldButton = $('[data-folds]');
  function setWrap(on) {
    const n = itemAtTop();
    wrap = on; box.classList.toggle('wraps', on); wrapButton.setAttribute('aria-pressed', on);
    try { localStorage.setItem('log-wrap', on ? '1' : ''); } catch (e) { /* it is not kept then */ }
    if (facts) { for (const i of items) if (!i.head) i.h = (i.to - i.from + 1) * line; lay(); clear(); if (n > 1 && itemOf(n)) show(n); draw(); }
  }
  function setFollow(on) {
    if (follow === on) return;
    follow = on && !!facts; followButton.setAttribute('aria-pressed', follow);
    if (follow) { const last = facts.sections[facts.sections.length - 1]; if (last && !open.get(last.from)) { open.set(last.from, true); lay(); clear(); } draw(); bottomOut(); }
  }
  foldButton.onclick = foldAll;
  wrapButton.onclick = () => setWrap(!wrap);
  followButton.onclick = () => setFollow(!follow);
  firstButton.onclick = () => { if (facts && facts.first) show(facts.first, true); };

  // --- the log, and how it grows -----------------------------------------------------------------------------------
  function measure() {
    const probe = row(1, 'x'); probe.classList.add('at'); pane.append(probe);
    line = probe.getBoundingClientRect().height || 20; probe.remove();
  }
  let busy = false, more = false;
  function read() {
    if (busy) { more = true; return; }
    busy = true;
    get('info').then(f => {
      const first = !facts || !facts.lines, had = facts ? facts.sections.length : 0;
      if (first) kept();
      f.sections.forEach((s, n) => { if (!open.has(s.from) && (s.open || first && wrapAll(f))) open.set(s.from, true); if (!first && n >= had && follow) open.set(s.from, true); });
      facts = f; errors = new Set(f.errors || []);
      if (first) measure();
      firstButton.hidden = !f.first; followButton.hidden = !f.running;
      $('[data-empty]').hidden = f.lines > 0;
      $('[data-size]').textContent = f.lines.toLocaleString('en') + ' lines';
      lay(); redraw();
      if (first) {
        if (location.hash.startsWith('#L') || location.hash === '#first-error') fromHash(true);
        else if (f.running) setFollow(true);
        else if (f.first) show(f.first, true);
        box.dataset.ready = '1';
      }
    }, () => { const e = $('[data-empty]'); e.hidden = !!facts; }).finally(() => { busy = false; if (more) { more = false; read(); } });
  }
  const wrapAll = f => f.lines <= 60;
  try { wrap = localStorage.getItem('log-wrap') === '1' || matchMedia('(max-width: 720px)').matches; } catch (e) { wrap = false; }
  box.classList.toggle('wraps', wrap); wrapButton.setAttribute('aria-pressed', wrap);
  document.addEventListener('parts', () => { // the page's stream has told how far the log is
    const grown = document.getElementById('log-state');
    const begun = grown && (+grown.dataset.bytes > 0 || grown.dataset.running === 'true'); // a build that waited had no log before
    // A log ends a moment before its build does, and only the build says what the first error is.
    if (facts ? grown && (grown.dataset.bytes !== String(facts.bytes) || (grown.dataset.running === 'true') !== facts.running || grown.dataset.build !== facts.build) : begun) read();
  });
  read();
})();
