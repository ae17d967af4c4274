// How much the system may do by itself, per ad account, and the switch that stops it.

import { api } from './api.js';
import { h } from './dom.js';
import { plural } from './format.js';
import { action, badge, load, sheet } from './parts.js';
import { may } from './session.js';
import { table } from './table.js';

const MODES = {
  dry_run: 'Dry run: says what it would do',
  approval: 'Approval: only what an admin approved',
  live: 'Live: by itself, within the limits',
};

/** accountsSheet shows the ad accounts; changed is called when one was switched. */
export function accountsSheet(changed) {
  return load('accounts', api.accounts, ({ accounts }) => (accounts.length === 0 ? null : sheet(
    h('h2', null, 'Accounts'),
    table('Accounts', columns(changed), accounts))));
}

const columns = (changed) => [
  { name: 'Account', by: (a) => a.name || a.account_id, wide: true, show: (a) => [h('b', null, a.name || a.account_id), h('span', { class: 'id' }, `${a.account_id} · ${plural(a.num_ads, 'ad')} · ${a.currency}`)] },
  { name: 'Meta', by: (a) => a.connected, show: (a) => badge(a.connected ? 'connected' : 'not connected', a.connected ? 'good' : 'warn') },
  { name: 'Mode', by: (a) => a.mode, show: (a) => (may('admin') ? mode(a, changed) : MODES[a.mode]) },
  { name: 'Writes', by: (a) => a.paused, show: (a) => pause(a, changed) },
];

function mode(account, changed) {
  const chosen = h('select', { 'aria-label': `Mode of ${account.account_id}` }, Object.entries(MODES).map(([value, name]) => h('option', { value, selected: value === account.mode }, name)));
  const save = action('Save', async () => {
    await api.putAccount(account.account_id, { mode: chosen.value });
    changed();
    return 'Saved.';
  });
  return h('div', { class: 'row' }, chosen, save);
}

function pause(account, changed) {
  if (!may('admin')) return account.paused ? badge('paused', 'bad') : badge('on', 'good');
  const label = account.paused ? 'Resume' : 'Stop all writes';
  const cell = h('div', null, account.paused && badge('paused', 'bad'));
  cell.append(action(label, async () => {
    Object.assign(account, await api.putAccount(account.account_id, { paused: !account.paused }));
    changed();
    cell.replaceWith(pause(account, changed));
  }));
  return cell;
}
