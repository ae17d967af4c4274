// What several views are made of: tiles, badges, and what is shown while there
// is nothing yet, nothing at all, or a problem.

import { fill, h } from './dom.js';
import { words } from './format.js';

/** view is a view's frame. */
export function view(title, lead, ...content) {
  return h('div', { class: 'view' },
    h('div', { class: 'head' }, h('h1', { tabindex: -1 }, title), lead && h('p', null, lead)),
    content);
}

export const sheet = (...content) => h('section', { class: 'sheet' }, content);

/** tiles shows pairs of a name and its figure. */
export const tiles = (pairs) => h('dl', { class: 'tiles' }, pairs.map(([name, figure]) => h('div', null, h('dt', null, name), h('dd', null, figure))));

export const facts = (pairs) => h('dl', { class: 'facts' }, pairs.map(([name, fact]) => [h('dt', null, name), h('dd', null, fact)]));

const moods = {
  ACTIVE: 'good', HEALTHY: 'good', scale: 'good', FATIGUING: 'warn', SATURATED: 'warn', AUDIENCE_EXHAUSTED: 'bad', kill: 'bad', DELETED: 'bad',
  applied: 'good', awaiting_approval: 'warn', held: 'warn', unknown: 'warn', failed: 'bad',
};

export const badge = (name, mood = moods[name] ?? '') => h('span', { class: `badge ${mood}` }, words(name));

export function empty(title, hint, link) {
  return h('div', { class: 'empty' }, h('h2', null, title), h('p', null, hint), link && h('a', { class: 'button', href: link[1] }, link[0]));
}

/** trouble tells an error, with the fields that it names where they are several. */
export function trouble(error) {
  const named = error.errors ?? [];
  return [error.message,
    named.length > 1 && h('ul', null, named.map((field) => h('li', null, h('code', null, field.location), ` ${field.message}`)))];
}

/** load shows that something is coming, and then it, or why it is not, with another try. */
export function load(what, ask, show, place = h('div')) {
  const attempt = async () => {
    fill(place, h('div', { class: 'loading', role: 'status' }, `Loading ${what} …`));
    try {
      const told = await ask();
      fill(place, show(told));
      place.querySelector('h1')?.focus({ preventScroll: true });
    } catch (error) {
      fill(place, h('div', { class: 'stack' }, h('div', { class: 'notice bad', role: 'alert' }, trouble(error)), h('div', null, h('button', { onclick: attempt }, 'Try again'))));
    }
  };
  attempt();
  return place;
}

/** action is a button that works on it, and says beside itself what came of it. */
export function action(label, work, { primary = false, busy = `${label} …`, submit = false, disabled = false } = {}) {
  const said = h('div', { class: 'said', 'aria-live': 'polite' });
  const button = h('button', { type: submit ? 'submit' : 'button', class: primary && 'primary', disabled }, label);
  const run = async () => {
    button.disabled = true;
    button.textContent = busy;
    say('', '');
    try {
      say('good', (await work()) ?? '');
    } catch (error) {
      say('bad', trouble(error));
    }
    button.disabled = false;
    button.textContent = label;
  };
  const say = (mood, told) => {
    said.className = told ? `said notice ${mood}` : 'said';
    fill(said, told);
  };
  if (!submit) button.addEventListener('click', run);
  return Object.assign(h('div', { class: 'action' }, button, said), { run });
}

/** form calls the action instead of sending itself anywhere. */
export function form(props, submit, ...content) {
  return h('form', { ...props, onsubmit: (event) => { event.preventDefault(); submit.run(); } }, content);
}

export const field = (label, input) => h('label', null, label, input);
