// All campaigns with what their ads did.

import { api } from './api.js';
import { h } from './dom.js';
import { ctr, money, number, roas, share, times } from './format.js';
import { badge, empty, load, tiles, view } from './parts.js';
import { may } from './session.js';
import { table } from './table.js';

export function campaignsView() {
  return view('Campaigns', 'What each campaign spent and what the deals that its ads started are worth today.',
    load('campaigns', api.campaigns, show));
}

function show(campaigns) {
  if (campaigns.length === 0) {
    return h('section', { class: 'sheet' }, empty('No campaigns yet',
      'Campaigns appear here with the first ad report. Export one from Ads Manager as CSV and import it.',
      may('editor') && ['Import a report', '#/import']));
  }
  const currencies = [...new Set(campaigns.map((campaign) => campaign.currency))].sort();
  return h('div', { class: 'stack' },
    currencies.map((currency) => totals(campaigns.filter((campaign) => campaign.currency === currency), currency)),
    h('section', { class: 'sheet flush' }, table('Campaigns', columns, campaigns, { column: 'Spend', down: true })));
}

const columns = [
  { name: 'Campaign', by: (c) => c.name, wide: true, show: (c) => [h('a', { href: `#/campaigns/${encodeURIComponent(c.id)}` }, c.name), c.name !== c.id && h('div', { class: 'id' }, c.id)] },
  { name: 'Status', by: (c) => c.status, show: (c) => badge(c.status), minor: true },
  { name: 'Ads', by: (c) => c.num_ads, show: (c) => number(c.num_ads), number: true, minor: true },
  { name: 'Budget', by: (c) => c.total_budget, show: (c) => money(c.total_budget, c.currency), number: true, minor: true },
  { name: 'CTR', by: ctr, show: (c) => share(ctr(c), 2), number: true, minor: true },
  { name: 'Spend', by: (c) => c.spend, show: (c) => money(c.spend, c.currency), number: true },
  { name: 'Pipeline value', by: (c) => c.pipeline_value, show: (c) => money(c.pipeline_value, c.currency), number: true },
  { name: 'Won', by: (c) => c.revenue, show: (c) => money(c.revenue, c.currency), number: true, minor: true },
  { name: 'ROAS', by: roas, show: (c) => h('b', null, times(roas(c))), number: true },
];

/** totals adds up campaigns or ads of one currency. */
export function totals(rows, currency) {
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  const of = { spend: sum('spend'), pipeline_value: sum('pipeline_value'), impressions: sum('impressions'), clicks: sum('clicks') };
  return tiles([
    ['Spend', money(of.spend, currency, true)],
    ['Pipeline value', money(of.pipeline_value, currency, true)],
    ['Won', money(sum('revenue'), currency, true)],
    ['Pipeline ROAS', times(roas(of))],
    ['CTR', share(ctr(of), 2)],
    [rows[0] && 'num_ads' in rows[0] ? 'Campaigns' : 'Ads', number(rows.length)],
  ]);
}
