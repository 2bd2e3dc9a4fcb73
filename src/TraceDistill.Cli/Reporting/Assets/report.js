'use strict';

// Shows the distribution behind the token that is pointed at or focused, and lets arrow keys walk along a trace.
(() => {
  const holder = document.getElementById('trace-data');
  const panel = document.getElementById('distribution');
  const traces = document.querySelector('.traces');
  if (!holder || !panel || !traces) {
    return;
  }

  const data = JSON.parse(holder.textContent);
  const visible = text => (text ?? '').replaceAll('\n', '↵').replaceAll(' ', '·') || '∅';
  const percent = share => (100 * share).toFixed(share > 0.9995 || share < 0.0995 ? 2 : 1) + '%';
  let current = null;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text ?? '';
    return made;
  };

  const row = (label, share, className) => {
    const line = element('div', 'row ' + className);
    const bar = element('span', 'share');
    bar.append(element('i', ''));
    bar.firstChild.style.width = Math.max(0.5, 100 * share) + '%';
    line.append(element('code', '', label), bar, element('span', 'number', percent(share)));
    return line;
  };

  const fill = (trace, index) => {
    const [drawn, logprob, ...top] = data.traces[trace][index];
    const rows = [];
    let mass = 0;
    for (let i = 0; i < top.length; i += 2) {
      const share = Math.exp(top[i + 1]);
      mass += share;
      rows.push(row(visible(data.words[top[i]]), share, top[i] === drawn ? 'drawn' : ''));
    }

    if (!top.some((id, i) => i % 2 === 0 && id === drawn)) {
      rows.push(row(visible(data.words[drawn]), Math.exp(logprob), 'drawn'));
    }

    rows.push(row('all others', Math.max(0, 1 - mass), 'tail'));
    const title = element('p', 'title', 'token ' + (index + 1) + ', drawn at ' + percent(Math.exp(logprob)));
    panel.replaceChildren(title, ...rows);
  };

  const place = token => {
    const at = token.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = panel;
    const below = at.bottom + 8 + height < innerHeight || at.top < height + 8;
    panel.style.left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8)) + 'px';
    panel.style.top = Math.max(8, below ? Math.min(at.bottom + 8, innerHeight - height - 8) : at.top - height - 8) + 'px';
  };

  const show = token => {
    if (token === current) {
      return;
    }

    current?.classList.remove('current');
    current = token;
    panel.hidden = !token;
    if (token) {
      token.classList.add('current');
      fill(Number(token.parentElement.dataset.trace), [...token.parentElement.children].indexOf(token));
      place(token);
    }
  };

  const tokenOf = event => event.target.closest?.('.t') ?? null;
  traces.addEventListener('pointerover', event => show(tokenOf(event)));
  traces.addEventListener('pointerleave', () => show(null));
  traces.addEventListener('focusin', event => show(tokenOf(event)));
  traces.addEventListener('focusout', () => show(null));
  addEventListener('scroll', () => show(null), { passive: true });
  addEventListener('keydown', event => event.key === 'Escape' && show(null));
  traces.addEventListener('keydown', event => {
    const token = tokenOf(event);
    const next = { ArrowRight: token?.nextElementSibling, ArrowLeft: token?.previousElementSibling }[event.key];
    if (next) {
      event.preventDefault();
      token.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
  });

  for (const choice of document.querySelectorAll('input[name=mode]')) {
    choice.addEventListener('change', () => { traces.dataset.mode = choice.value; });
  }
})();
