// The editor of spec files: colours and line numbers behind the text, which stays a plain field.
(function () {
  'use strict';
  const box = document.querySelector('[data-editor]'), text = box && box.querySelector('textarea');
  if (!text) return;
  const behind = document.createElement('pre'), numbers = document.createElement('div'), place = document.querySelector('[data-place]');
  behind.setAttribute('aria-hidden', 'true'); numbers.setAttribute('aria-hidden', 'true');
  behind.className = 'behind'; numbers.className = 'numbers';
  box.prepend(behind, numbers);
  box.classList.add('on');
  const section = /^%(prep|build|install|check|files|description|package|changelog|generate_buildrequires|pre|post|preun|postun)\b/;
  function add(to, name, part) { const s = document.createElement('span'); s.className = name; s.textContent = part; to.append(s); }
  function macros(to, line) {
    let last = 0;
    for (const m of line.matchAll(/%%|%\{[^}]*\}?|%\([^)]*\)?|%[?!]*[A-Za-z_0-9*]+/g)) {
      to.append(line.slice(last, m.index));
      if (m[0] === '%%') to.append('%%'); else add(to, 'k-mac', m[0]);
      last = m.index + m[0].length;
    }
    to.append(line.slice(last));
  }
  function paint() {
    const lines = text.value.split('\n'), all = document.createDocumentFragment();
    lines.forEach((line, i) => {
      if (i) all.append('\n');
      const tag = /^([A-Za-z][\w()]*)(:.*)$/.exec(line);
      if (line.startsWith('#')) add(all, 'k-com', line);
      else if (section.test(line)) add(all, 'k-sec', line);
      else if (tag) { add(all, 'k-key', tag[1]); macros(all, tag[2]); }
      else macros(all, line);
    });
    all.append('\n');
    behind.replaceChildren(all);
    numbers.textContent = lines.map((_, i) => i + 1).join('\n');
    follow();
  }
  function follow() { behind.scrollTop = text.scrollTop; behind.scrollLeft = text.scrollLeft; numbers.scrollTop = text.scrollTop; }
  function where() {
    const before = text.value.slice(0, text.selectionStart).split('\n');
    if (place) place.textContent = 'Line ' + before.length + ', column ' + (before[before.length - 1].length + 1);
  }
  let due = 0, begun = text.value, saved = false;
  text.addEventListener('input', () => { cancelAnimationFrame(due); due = requestAnimationFrame(paint); });
  text.addEventListener('scroll', follow, { passive: true });
  document.addEventListener('selectionchange', () => { if (document.activeElement === text) where(); });
  text.form.addEventListener('submit', e => { saved = !(e.submitter && e.submitter.hasAttribute('formaction')); });
  text.addEventListener('input', () => { saved = false; });
  addEventListener('beforeunload', e => { if (!saved && text.value !== begun) e.preventDefault(); });
  paint();
})();
