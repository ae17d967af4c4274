// A report of ads as CSV: looked through first, then imported.

import { api } from './api.js';
import { fill, h } from './dom.js';
import { number, plural } from './format.js';
import { action, field, form, sheet, tiles, view } from './parts.js';
import { table } from './table.js';

export function importView() {
  const file = h('input', { type: 'file', accept: '.csv,text/csv', required: true });
  const account = h('input', { maxlength: 128, placeholder: 'if several' });
  const outcome = h('div');
  const send = (dryRun) => {
    const parts = new FormData(); // the file comes last: it is read as it arrives
    if (account.value.trim()) parts.append('account_id', account.value.trim());
    parts.append('file', file.files[0]);
    return api.importAds(parts, dryRun);
  };
  const forget = () => fill(outcome);
  file.addEventListener('change', forget);
  account.addEventListener('input', forget);
  const check = action('Check the file', async () => {
    forget();
    const told = await send(true);
    const go = action('Import', async () => {
      const done = await send(false);
      fill(outcome, report(done, 'Imported'), h('p', null, h('a', { class: 'button', href: '#/campaigns' }, 'See the campaigns')));
    }, { primary: true, busy: 'Importing …', disabled: told.imported + told.updated === 0 });
    fill(outcome, report(told, 'Would be imported'), h('p', { class: 'soft' }, 'Nothing has been written yet.'), go);
  }, { primary: true, submit: true, busy: 'Checking …' });
  return view('Import', 'Take in a report of ads as CSV: an Ads Manager export, or any table with ad_id, impressions, clicks and spend. It is checked first, and rows that are wrong are named by their line.',
    sheet(form({ class: 'row' }, check, h('label', { class: 'file' }, 'Report, CSV', file), field('Ad account', account), check)),
    h('div', { class: 'stack', 'aria-live': 'polite' }, outcome));
}

function report(told, verb) {
  return h('div', { class: 'stack' },
    tiles([['Rows', number(told.rows)], [`${verb}: new`, number(told.imported)], ['Known, updated', number(told.updated)],
      ['Of these the same', number(told.unchanged)], ['Rejected', number(told.rejected)], ['New ads', number(told.new_ads)]]),
    told.notes.map((note) => h('p', { class: 'notice' }, capital(note))),
    told.errors.length > 0 && h('section', { class: 'sheet flush' },
      h('div', { class: 'inner' }, h('h2', null, 'Rejected rows'), told.errors_truncated && h('p', { class: 'soft small' }, `The first ${plural(told.errors.length, 'row')} of ${number(told.rejected)}.`)),
      table('Rejected rows', [
        { name: 'Line', by: (e) => e.line, number: true, show: (e) => number(e.line) },
        { name: 'Column', by: (e) => e.column ?? '', show: (e) => e.column ?? '–' },
        { name: 'Reason', by: (e) => e.reason, show: (e) => e.reason },
      ], told.errors)),
    sheet(h('details', null, h('summary', null, 'How the columns were read'),
      h('ul', { class: 'chips' }, Object.entries(told.columns).map(([ours, theirs]) => h('li', null, h('b', null, theirs, ' → '), ours))),
      told.ignored_columns.length > 0 && h('p', { class: 'small soft' }, `Not used: ${told.ignored_columns.join(', ')}`))));
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
