// The console's start: who is signed in, the views that the address names, and
// the way between them.

import { fill, h } from './dom.js';
import { may, byItself, session, signOut } from './session.js';
import { signInView } from './signin.js';
import { campaignsView } from './campaigns.js';
import { campaignView } from './campaign.js';
import { changesView } from './changes.js';
import { creativesView, creativeView } from './creatives.js';
import { winnersView } from './winners.js';
import { pipelineView } from './pipeline.js';
import { decisionView, decisionsView } from './decisions.js';
import { importView } from './import.js';
import { lettersView } from './letters.js';

const views = [
  { name: 'campaigns', title: 'Campaigns', show: (id) => (id ? campaignView(id) : campaignsView()) },
  { name: 'changes', title: 'Changes', show: changesView },
  { name: 'creatives', title: 'Creatives', show: (id) => (id ? creativeView(id) : creativesView()) },
  { name: 'winners', title: 'Winners', show: winnersView },
  { name: 'pipeline', title: 'Pipeline', show: pipelineView },
  { name: 'decisions', title: 'Decisions', show: (id) => (id ? decisionView(id) : decisionsView()) },
  { name: 'import', title: 'Import', show: importView, role: 'editor' },
  { name: 'dead-letters', title: 'Dead letters', show: lettersView, role: 'admin' },
];

const main = document.getElementById('main');
const nav = document.getElementById('nav');
const who = document.getElementById('who');

// route shows the view of #/name or #/name/id.
function route(reason) {
  const person = session();
  if (!person) {
    fill(nav);
    fill(who);
    show('Sign in', signInView(reason, () => route()));
    return;
  }
  const [, name, id] = location.hash.split('/');
  const offered = views.filter((view) => !view.role || may(view.role));
  const current = offered.find((view) => view.name === name) ?? offered[0];
  fill(nav, offered.map((view) => h('a', { href: `#/${view.name}`, 'aria-current': view === current ? 'page' : null }, view.title)));
  nav.querySelector('[aria-current]').scrollIntoView({ block: 'nearest', inline: 'nearest' }); // it scrolls on a phone
  fill(who, h('div', { class: 'person' }, breakable(person.name)), h('div', { class: 'soft' }, person.role),
    h('button', { class: 'plain', onclick: () => { signOut(); route(); } }, 'Sign out'));
  show(current.title, current.show(id && decodeURIComponent(id)));
}

// breakable lets a long address go on below at its @.
const breakable = (name) => name.split(/(?=@)/).flatMap((part, i) => (i === 0 ? [part] : [h('wbr'), part]));

function show(title, content) {
  document.title = `${title} · geminivideo`;
  fill(main, content);
  window.scrollTo(0, 0);
  main.querySelector('h1')?.focus({ preventScroll: true });
}

window.addEventListener('hashchange', () => route());
window.addEventListener('signed-out', (event) => {
  if (!session()) return; // several calls of one view may be refused
  signOut();
  route(event.detail ?? 'Your session has ended.');
});

await byItself();
route();
