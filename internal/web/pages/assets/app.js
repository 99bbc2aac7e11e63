// The script of every page: the theme, the stream that keeps an open page up to date, forms, keys, and small helps.
// Everything works by attributes, so that a new page needs no script of its own:
//   data-live        on <main>: the address whose stream changes this page      data-after: the last event it has
//   data-act         on a form: it is sent without leaving the page             data-confirm: what would be lost
//   data-clear       on such a form: it is empty again when it was taken
//   data-refresh     on a form: what is filled in is asked for again, and the page's parts follow
//   data-ask         on such a form: its parts are asked for as soon as the page is there, because they take longer
//   data-key         on anything: the key, or two, that press it                data-key-name: its name in the help
//   data-row         on a row: j and k go from one to the next                  data-failure: f goes from one to the next
//   data-copy        on a button: the text that it copies
//   data-follow      on what grows: it stays at its end until somebody scrolls up
//   data-remember    on <details>: under which name it is kept whether somebody folded it
//   data-ago, data-since: moments, in milliseconds, that are counted on
(function () {
  'use strict';
  const root = document.documentElement, $ = (s, at) => (at || document).querySelector(s), $$ = (s, at) => [...(at || document).querySelectorAll(s)];
  const PARTS = 'application/vnd.reqpm.parts+json';

  // --- theme -------------------------------------------------------------------------------------------------
  const themes = ['dark', 'light', 'auto'];
  function theme() {
    const next = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    root.dataset.theme = next;
    document.cookie = 'theme=' + next + ';path=/;max-age=31536000;samesite=lax';
    $$('[data-theme-switch]').forEach(b => { b.title = 'Theme: ' + next; });
  }

  // --- putting new parts into the page without losing what somebody does in it -----------------------------------
  function syncAttributes(old, now) {
    for (const a of [...old.attributes]) if (!now.hasAttribute(a.name) && a.name !== 'open' && a.name !== 'data-sel' && !(a.name === 'tabindex' && old === document.activeElement)) old.removeAttribute(a.name);
    for (const a of now.attributes) if (old.getAttribute(a.name) !== a.value && a.name !== 'open') old.setAttribute(a.name, a.value);
  }
  function same(a, b) { return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || ''); }
  // What somebody would call the same thing although others came before it: by its id, by where a form is sent or a link leads.
  function keyOf(n) {
    if (n.nodeType !== 1) return '';
    if (n.id) return '#' + n.id;
    const to = n.nodeName === 'FORM' ? n.getAttribute('action') : n.nodeName === 'A' ? n.getAttribute('href') : '';
    return to ? n.nodeName + ' ' + to : '';
  }
  // A control never becomes another one under the focus: Enter would do something else than what was read.
  function turns(at, n) { return keyOf(at) !== keyOf(n) && at.contains(document.activeElement); }
  function carry(into, e, before) { if (into.moveBefore) into.moveBefore(e, before); else into.insertBefore(e, before); } // the first keeps the focus
  function morph(old, now) {
    if (old.nodeType === 3) { if (old.data !== now.data) old.data = now.data; return old; }
    if (old.isEqualNode(now)) return old;
    if (old.nodeType !== 1) return old;
    const typing = old === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName);
    if (!typing) {
      syncAttributes(old, now);
      if (old.nodeName === 'INPUT') { if (old.value !== now.value) old.value = now.value; if (old.checked !== now.checked) old.checked = now.checked; }
    }
    if (old.nodeName === 'TEXTAREA') return old;
    if (old.dataset && old.dataset.keep !== undefined) return old; // its script has its inside
    const byKey = new Map(), wanted = new Set([...now.children].map(keyOf).filter(k => k));
    for (const c of old.children) { const key = keyOf(c); if (key && !byKey.has(key)) byKey.set(key, c); }
    let at = old.firstChild;
    for (const n of [...now.childNodes]) {
      const key = keyOf(n);
      let hit = key && byKey.get(key);
      if (hit) byKey.delete(key);
      else if (at && same(at, n) && (keyOf(at) === key || !wanted.has(keyOf(at)) && !turns(at, n))) { hit = at; byKey.delete(keyOf(at)); }
      if (hit) {
        if (hit !== at) carry(old, hit, at); else at = at.nextSibling;
        morph(hit, n);
      } else old.insertBefore(n, at);
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
    return old;
  }
  // A part is one element; a table's row needs its table to be read.
  function parse(html) {
    const t = document.createElement('template');
    t.innerHTML = html;
    return t.content.firstElementChild;
  }
  // Where the focus is, so that it can be there again: whoever has no mouse is never thrown out of the page.
  function focused() {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const around = [];
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) around.push(p);
    return { e, around };
  }
  function nameOf(e) { return e.nodeName + ' ' + (e.name || '') + ' ' + (e.ariaLabel || e.textContent).replace(/[\d\s]+/g, ' ').trim(); }
  function refocus(was) {
    if (!was || document.activeElement && document.activeElement !== document.body) return; // it still is, or somebody has gone on
    if (was.e.isConnected) was.e.focus({ preventScroll: true });
    if (document.activeElement === was.e) return;
    const part = was.around.find(p => p.isConnected && visible(p)) || main;
    if (!part) return;
    const alike = $$('a[href],button,input,select,textarea,summary', part).find(x => visible(x) && !x.disabled && nameOf(x) === nameOf(was.e));
    if (alike) { alike.focus({ preventScroll: true }); return; }
    if (!part.hasAttribute('tabindex')) part.tabIndex = -1; // what it was on is gone: Tab goes on from where that was
    part.focus({ preventScroll: true });
  }
  function apply(fragments) {
    const was = focused();
    for (const [id, html] of Object.entries(fragments || {})) {
      const old = document.getElementById(id), now = parse(html);
      if (!old || !now) continue;
      const before = old.dataset.state, ends = $$('[data-follow]').filter(x => x.scrollHeight - x.scrollTop - x.clientHeight < 30);
      morph(old, now);
      ends.forEach(bottom);
      if (old.dataset.state !== undefined && before !== old.dataset.state) flash(old);
    }
    const tab = $('#tab');
    if (tab && document.title !== tab.dataset.title) document.title = tab.dataset.title;
    const icon = $('link[rel=icon]');
    if (tab && icon && icon.getAttribute('href') !== tab.dataset.icon) icon.setAttribute('href', tab.dataset.icon);
    refocus(was);
    tick();
    document.dispatchEvent(new CustomEvent('parts', { detail: Object.keys(fragments || {}) }));
  }
  // What follows stays at its end, unless somebody has gone up to read.
  function bottom(e) { e.scrollTop = e.scrollHeight; }
  function flash(e) {
    e.classList.remove('changed');
    void e.offsetWidth; // so that it begins again
    e.classList.add('changed');
    e.addEventListener('animationend', () => e.classList.remove('changed'), { once: true });
  }

  // --- the stream ------------------------------------------------------------------------------------------------
  const main = $('main[data-live]'), say = $('#live-state');
  let source = null, last = main && main.dataset.after, wait = 0, reported = 0;
  let away = 0; // since when the page is not told of what happens
  // When the server was last heard, and how long it may be silent: it says every 15 s that it is there. A connection that a router has
  // forgotten, or that went to sleep with the machine, is silent for ever and closes nothing.
  const SILENT = 60000, UNANSWERED = 20000;
  let heard = 0, patience = SILENT;
  function state(text, name, what) {
    if (say) { say.textContent = text; say.dataset.state = name; }
    reported = Date.now();
    const note = $('#offline');
    if (name !== 'lost') { away = 0; note.hidden = true; return; }
    away = away || Date.now();
    note.textContent = what || 'The server does not answer. What you see is of ' + new Date(away).toTimeString().slice(0, 8) + '; this page goes on by itself.';
    note.hidden = !what && Date.now() - away < 1500; // a moment is no trouble
    if (note.hidden) setTimeout(() => { if (away) note.hidden = false; }, 1500);
  }
  function connect() {
    clearTimeout(wait);
    if (!main || source) return;
    const url = new URL(main.dataset.live, location.href);
    url.searchParams.set('after', last || '0');
    source = new EventSource(url);
    heard = Date.now();
    source.onopen = () => { heard = Date.now(); };
    source.addEventListener('alive', () => { heard = Date.now(); });
    source.onmessage = m => {
      last = m.lastEventId || last;
      heard = Date.now(); patience = SILENT;
      state('Live, updated now', 'live');
      apply(JSON.parse(m.data).fragments);
      if (document.hidden) hush();
    };
    source.onerror = () => {
      heard = Date.now();
      state('Reconnecting', 'lost');
      if (source && source.readyState === EventSource.CLOSED) { close(); ask(); }
    };
  }
  function close() { if (source) source.close(); source = null; }
  // What is only slow gets longer each time, so that it is not begun again and again.
  function overdue() {
    const open = source && source.readyState === EventSource.OPEN;
    if (!source || Date.now() - heard < (open ? patience : UNANSWERED)) return;
    away = away || heard;
    if (open) patience = Math.min(2 * patience, 8 * SILENT);
    state('Reconnecting', 'lost');
    close(); connect();
  }
  // A stream that was refused: logged out, or the page is gone? Or the server is, and comes again.
  function ask() {
    fetch(location.href, { headers: { Accept: PARTS }, redirect: 'manual' }).then(r => {
      if (r.status === 401) state('Logged out', 'lost', 'You are logged out. Load the page again to log in.');
      else if (r.status === 404) state('Gone', 'lost', 'What this page shows is not there any more.');
      else wait = setTimeout(connect, 2000);
    }, () => { wait = setTimeout(ask, 2000); });
  }
  // Browsers have six connections for a server without TLS, so a page that nobody looks at keeps none: it looks in
  // now and then, for its title and icon.
  let quiet = 0, peek = 0;
  function hush() { clearTimeout(quiet); quiet = setTimeout(() => { if (document.hidden) { close(); clearInterval(peek); peek = setInterval(connect, 15000); } }, peek ? 0 : 20000); }
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { hush(); return; }
    clearTimeout(quiet); clearInterval(peek); peek = 0; connect();
  });
  addEventListener('pagehide', close);
  addEventListener('pageshow', e => { if (e.persisted) connect(); });

  // --- moments that go on ------------------------------------------------------------------------------------------
  const two = n => String(n).padStart(2, '0');
  function clock(s) { s = Math.max(0, Math.round(s)); return s < 3600 ? Math.floor(s / 60) + ':' + two(s % 60) : Math.floor(s / 3600) + ':' + two(Math.floor(s / 60) % 60) + ':' + two(s % 60); }
  function ago(s) { return s < 45 ? 'now' : s < 5400 ? Math.max(1, Math.round(s / 60)) + ' min ago' : s < 129600 ? Math.round(s / 3600) + ' h ago' : s < 5184000 ? Math.round(s / 86400) + ' d ago' : ''; }
  function set(e, text) { if (text && e.textContent !== text) e.textContent = text; }
  function tick() {
    const now = Date.now();
    $$('[data-since]').forEach(e => set(e, clock((now - e.dataset.since) / 1000)));
    $$('[data-ago]').forEach(e => set(e, ago((now - e.dataset.ago) / 1000)));
    if (say && say.dataset.state === 'live' && now - reported > 60000) say.textContent = 'Live, last change ' + ago((now - reported) / 1000);
  }
  setInterval(() => { if (!document.hidden) { tick(); overdue(); } }, 1000);

  // --- toasts ----------------------------------------------------------------------------------------------------
  function toast(text, bad) {
    const box = document.createElement('div');
    box.className = 'toast ' + (bad ? 'is-failed' : 'is-succeeded');
    box.innerHTML = '<svg class="i" aria-hidden="true"><use href="#i-' + (bad ? 'failed' : 'succeeded') + '"></use></svg><p></p><button class="btn quiet icon sm" type="button" aria-label="Close"><svg class="i sm" aria-hidden="true"><use href="#i-x"></use></svg></button>';
    $('p', box).textContent = text;
    $('button', box).onclick = () => box.remove();
    $('#toasts').append(box);
    if (!bad) setTimeout(() => box.remove(), 6000);
    while ($('#toasts').children.length > 4) $('#toasts').firstChild.remove();
  }

  // --- forms -------------------------------------------------------------------------------------------------------
  function confirmed(text) {
    if (!text) return Promise.resolve(true);
    const box = $('#confirm');
    $('#confirm-text').textContent = text;
    box.returnValue = '';
    box.showModal();
    return new Promise(done => box.addEventListener('close', () => done(box.returnValue === 'yes'), { once: true }));
  }
  const sending = new WeakSet(); // not disabled meanwhile: that would take the focus from the button
  async function send(form, submitter) {
    if (sending.has(form) || !await confirmed((submitter && submitter.dataset.confirm) || form.dataset.confirm)) return;
    const body = new URLSearchParams(new FormData(form));
    if (submitter && submitter.name) body.append(submitter.name, submitter.value);
    sending.add(form);
    form.setAttribute('aria-busy', 'true');
    if (submitter) submitter.setAttribute('aria-disabled', 'true');
    try {
      const r = await fetch((submitter && submitter.getAttribute('formaction')) || form.getAttribute('action') || location.href, { method: 'POST', body, headers: { Accept: PARTS } });
      if (r.status === 401) { location.href = '/login?next=' + encodeURIComponent(location.pathname + location.search); return; }
      const a = await r.json();
      if (a.fragments) apply(a.fragments);
      if (!a.error && form.dataset.clear !== undefined) form.reset();
      if (a.error) { if (!complain(form, a.field, a.error)) toast(a.error, true); }
      else if (a.at) await goOn(form, new URL(a.at, location.href));
      else if (a.to) location.href = a.to;
      else if (a.toast) toast(a.toast);
    } catch (e) { toast('The server did not answer. Nothing may have happened; look before trying again.', true); }
    finally { sending.delete(form); form.removeAttribute('aria-busy'); if (submitter) submitter.removeAttribute('aria-disabled'); }
  }
  // An error belongs beside its field.
  function complain(form, name, text) {
    const field = name && form.elements[name], place = name && document.getElementById('e-' + name);
    if (!field || !place) return false;
    place.innerHTML = '<p class="err" role="alert"><svg class="i" aria-hidden="true"><use href="#i-failed"></use></svg><span></span></p>';
    $('span', place).textContent = text;
    if (field.focus) { field.focus(); field.setAttribute('aria-invalid', 'true'); const box = field.closest('.in'); if (box) box.classList.add('bad'); }
    return true;
  }
  let asked = null, soon = 0;
  function filledIn(form) {
    const url = new URL(form.dataset.refresh, location.href), data = new URLSearchParams();
    for (const [k, v] of new FormData(form)) if (v !== '') data.append(k, v);
    url.search = data;
    return url;
  }
  function refresh(form) { return goOn(form, filledIn(form)); }
  // From now on the page is at another address of its own, and its stream is the one of there.
  function move(url) {
    history.replaceState(null, '', url);
    if (main) { main.dataset.live = url.pathname + url.search; close(); connect(); }
  }
  // The page goes on at another address of its own: its parts are asked for there, and its stream is the one of there.
  async function goOn(form, url) {
    if (asked) asked.abort();
    const mine = asked = new AbortController();
    form.setAttribute('aria-busy', 'true');
    try {
      const r = await fetch(url, { headers: { Accept: PARTS }, signal: mine.signal });
      const a = await r.json();
      if (a.error) toast(a.error, true); else {
        apply(a.fragments);
        move(url);
      }
    } catch (e) { if (e.name !== 'AbortError') toast('The server did not answer.', true); }
    finally { if (asked === mine) { asked = null; form.removeAttribute('aria-busy'); } }
  }
  document.addEventListener('submit', e => {
    if (e.target.matches('form[data-act]')) { e.preventDefault(); send(e.target, e.submitter); }
  });
  document.addEventListener('change', e => {
    const form = e.target.form;
    if (form && form.dataset.refresh && !e.target.dataset.still) { clearTimeout(soon); refresh(form); }
    // What asks nothing of anybody else still makes the plan one of another choice, and the stream says so at once.
    else if (form && form.dataset.refresh && form.elements.preview && form.elements.preview.value) move(filledIn(form));
    if (e.target.dataset.go !== undefined) form.requestSubmit();
  });
  document.addEventListener('input', e => {
    const form = e.target.form;
    if (form && form.dataset.refresh && e.inputType === 'insertFromPaste') { clearTimeout(soon); soon = setTimeout(() => refresh(form), 50); }
  });

  // --- keys --------------------------------------------------------------------------------------------------------
  let first = '', firstAt = 0;
  function visible(e) { return e.offsetParent !== null || e.getClientRects().length > 0; }
  function rows() { return $$('[data-row]').filter(visible); }
  function select(e) {
    $$('[data-sel]').forEach(x => x.removeAttribute('data-sel'));
    if (!e) return;
    e.setAttribute('data-sel', '');
    e.scrollIntoView({ block: 'nearest' });
  }
  function step(all, current, by) { return all[Math.min(all.length - 1, Math.max(0, current < 0 ? (by > 0 ? 0 : all.length - 1) : current + by))]; }
  function press(e) {
    if (e.matches('input')) { e.focus(); e.select(); } else e.click();
  }
  // What has a key, the page's own before its frame's: in a log, / searches the log.
  function keyed() { const all = $$('[data-key]').filter(x => x.dataset.key && visible(x)), own = x => !!x.closest('main'); return [...all.filter(own), ...all.filter(x => !own(x))]; }
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.nodeName) && !/^(checkbox|radio|button|submit)$/.test(e.target.type || '') || e.target.isContentEditable;
    if (e.key === 'Escape') { if (typing) e.target.blur(); select(null); $$('details.me[open]').forEach(d => { d.open = false; }); return; }
    if (typing || $('dialog[open]')) return;
    const key = first && Date.now() - firstAt < 1200 ? first + ' ' + e.key : e.key;
    const all = keyed(), hit = all.find(x => x.dataset.key === key) || all.find(x => x.dataset.key === e.key);
    first = '';
    if (hit) { e.preventDefault(); press(hit); return; }
    if (!key.includes(' ') && all.some(x => x.dataset.key.startsWith(e.key + ' '))) { first = e.key; firstAt = Date.now(); return; }
    const list = rows(), at = list.findIndex(x => x.hasAttribute('data-sel'));
    if (e.key === '?') { e.preventDefault(); help(); }
    else if (e.key === 'j') select(step(list, at, 1));
    else if (e.key === 'k') select(step(list, at, -1));
    else if (e.key === 'Enter' && at >= 0 && !e.target.closest('a,button,summary')) { const a = $('a[href]', list[at]); if (a) a.click(); }
    else if (e.key === 'f') {
      const bad = $$('[data-failure]').filter(visible), now = bad.indexOf(document.activeElement), next = bad[(now + 1) % bad.length];
      if (next) { next.focus(); next.scrollIntoView({ block: 'center' }); }
    }
  });
  function help() {
    const list = $('#help-keys'), seen = new Set();
    list.textContent = '';
    const add = (k, text) => {
      if (seen.has(k)) return;
      seen.add(k);
      const dt = document.createElement('dt'), dd = document.createElement('dd');
      for (const part of k.split(' ')) { const kbd = document.createElement('kbd'); kbd.textContent = part; dt.append(kbd, ' '); }
      dd.textContent = text;
      list.append(dt, dd);
    };
    keyed().forEach(x => add(x.dataset.key, x.dataset.keyName || x.title || x.textContent.replace(/\s+/g, ' ').replace(x.dataset.key, '').trim()));
    if (rows().length) { add('j k', 'Next and previous row'); add('Enter', 'Open the row'); }
    if ($('[data-failure]')) add('f', 'Next failure');
    add('?', 'These keys'); add('Esc', 'Close, or leave a field');
    $('#help').showModal();
  }

  // --- clicks --------------------------------------------------------------------------------------------------------
  document.addEventListener('click', e => {
    const b = e.target.closest('[data-copy],[data-theme-switch],[data-help],[data-fill]');
    if (!e.target.closest('details.me')) $$('details.me[open]').forEach(d => { d.open = false; });
    if (!b) return;
    if (b.dataset.copy !== undefined) {
      const done = () => toast('Copied.'), failed = () => toast('The browser does not let a page copy here. Mark the text instead.', true);
      if (navigator.clipboard) navigator.clipboard.writeText(b.dataset.copy).then(done, failed); else failed();
    } else if (b.dataset.fill !== undefined) {
      const field = document.getElementById(b.dataset.for);
      if (field) { field.value = b.dataset.fill; field.dispatchEvent(new Event('change', { bubbles: true })); }
    } else if (b.dataset.help !== undefined) help();
    else theme();
  });
  document.addEventListener('click', e => { const d = e.target; if (d.nodeName === 'DIALOG') d.close(); });

  $$('details[data-remember]').forEach(d => {
    const name = 'folded-' + d.dataset.remember;
    try { d.open = localStorage.getItem(name) === null; } catch (e) { /* nothing is kept */ }
    d.addEventListener('toggle', () => { try { if (d.open) localStorage.removeItem(name); else localStorage.setItem(name, '1'); } catch (e) { /* it is not kept then */ } });
  });

  window.reqpm = { apply, toast, refresh, flash, clock };
  tick();
  $$('[data-follow]').forEach(bottom);
  connect();
  const asks = $('form[data-ask]');
  if (asks) goOn(asks, new URL(location.href));
})();
