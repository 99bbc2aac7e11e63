// The search in the top bar: what is found while somebody types, gone through with the arrow keys. Without this script the
// field leads to the page of the search.
(() => {
  'use strict';
  const field = document.getElementById('search'), list = document.getElementById('search-hits');
  if (!field || !list) return;
  let timer, asked = 0, at = -1;
  const options = () => [...list.querySelectorAll('[role=option]')];
  function close() { list.hidden = true; at = -1; field.setAttribute('aria-expanded', 'false'); field.removeAttribute('aria-activedescendant'); }
  function choose(i) {
    const all = options();
    if (!all.length) return;
    at = (i + all.length) % all.length;
    all.forEach((o, n) => o.setAttribute('aria-selected', String(n === at)));
    field.setAttribute('aria-activedescendant', all[at].id);
    all[at].scrollIntoView({ block: 'nearest' });
  }
  function icon(name, state) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg'), use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
    svg.setAttribute('class', 'i'); svg.setAttribute('aria-hidden', 'true'); use.setAttribute('href', '#i-' + name); svg.append(use);
    const span = document.createElement('span');
    span.className = 'st' + (state ? ' is-' + state : '');
    span.append(svg);
    return span;
  }
  function span(className, text) { const e = document.createElement('span'); e.className = className; e.textContent = text; return e; }
  function show(hits) {
    list.textContent = '';
    at = -1;
    field.removeAttribute('aria-activedescendant');
    let group = null, named = '';
    hits.forEach((h, i) => {
      if (!group || h.group !== named) {
        named = h.group;
        group = document.createElement('div');
        group.setAttribute('role', 'group');
        group.setAttribute('aria-label', named);
        const title = span('gt', named);
        title.setAttribute('role', 'presentation');
        group.append(title);
        list.append(group);
      }
      const o = document.createElement('div');
      o.id = 'hit-' + i;
      o.setAttribute('role', 'option');
      o.setAttribute('aria-selected', 'false');
      o.dataset.path = h.path;
      o.append(icon(h.state && document.getElementById('i-' + h.state) ? h.state : h.icon, h.state), span('strong cut', h.name), span('faint cut grow', h.beside || ''));
      group.append(o);
    });
    if (!hits.length) list.append(span('none', 'Nothing found'));
    list.hidden = false;
    field.setAttribute('aria-expanded', 'true');
  }
  function ask() {
    const text = field.value.trim(), n = ++asked;
    if (!text) { close(); return; }
    fetch('/search/hits?q=' + encodeURIComponent(text), { headers: { Accept: 'application/json' } })
      .then(r => { if (!r.ok) throw new Error(r.status); return r.json(); })
      .then(a => { if (n === asked && document.activeElement === field) show(a.hits); })
      .catch(() => { if (n === asked) close(); }); // Enter leads to the page, which says what is wrong
  }
  field.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  field.addEventListener('focus', () => { if (field.value.trim()) ask(); });
  field.addEventListener('blur', () => { asked++; close(); });
  field.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      if (list.hidden) ask(); else choose(e.key === 'ArrowDown' ? at + 1 : at < 0 ? -1 : at - 1);
    } else if (e.key === 'Enter' && at >= 0 && !list.hidden) { e.preventDefault(); location.href = options()[at].dataset.path; }
    else if (e.key === 'Escape' && !list.hidden) { e.preventDefault(); close(); }
  });
  list.addEventListener('mousedown', e => {
    const o = e.target.closest('[role=option]');
    e.preventDefault(); // the field keeps the focus
    if (o && e.button === 0) location.href = o.dataset.path;
  });
})();
