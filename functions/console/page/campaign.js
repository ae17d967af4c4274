// One campaign: its budget split anew, and its ads.

import { api } from './api.js';
import { fill, h } from './dom.js';
import { ctr, money, number, plural, roas, share, time, times } from './format.js';
import { action, badge, empty, field, form, load, sheet, view } from './parts.js';
import { totals } from './campaigns.js';
import { may } from './session.js';
import { splitView } from './split.js';
import { table } from './table.js';

export function campaignView(id) {
  return load('the campaign', () => Promise.all([api.campaign(id), api.ads(id)]), ([campaign, ads]) =>
    h('div', { class: 'view' },
      h('div', { class: 'head' },
        h('div', { class: 'titled' }, h('h1', { tabindex: -1 }, campaign.name), badge(campaign.status)),
        h('p', { class: 'crumb' }, h('a', { href: '#/campaigns' }, 'Campaigns'), ' / ', h('span', { class: 'id' }, campaign.id), ` in account ${campaign.account_id}`)),
      totals(ads, campaign.currency),
      ads.length > 0 && optimizer(campaign, ads),
      h('section', { class: 'sheet flush' }, ads.length > 0
        ? table('Ads', columns(campaign.currency), ads, { column: 'Spend', down: true })
        : empty('No ads yet', 'This campaign’s ads appear here with the next report that names them.', may('editor') && ['Import a report', '#/import']))));
}

const columns = (currency) => [
  { name: 'Ad', by: (ad) => ad.name, wide: true, show: (ad) => [h('b', null, ad.name), h('span', { class: 'small soft', title: time(ad.created_at) }, `${ad.name === ad.id ? '' : `${ad.id} · `}${plural(Math.floor(ageHours(ad) / 24), 'day')} old`),
    h('span', { class: 'badges' }, ad.status !== 'ACTIVE' && badge(ad.status), tiring(ad) && badge(ad.fatigue_status))] },
  { name: 'Budget', by: (ad) => ad.daily_budget || null, show: (ad) => (ad.daily_budget ? money(ad.daily_budget, currency) : '–'), number: true, minor: true },
  { name: 'Impressions', by: (ad) => ad.impressions, show: (ad) => number(ad.impressions), number: true, minor: true },
  { name: 'CTR', by: ctr, show: (ad) => share(ctr(ad), 2), number: true, minor: true },
  { name: 'Spend', by: (ad) => ad.spend, show: (ad) => money(ad.spend, currency), number: true },
  { name: 'Pipeline value', by: (ad) => ad.pipeline_value, show: (ad) => money(ad.pipeline_value, currency), number: true },
  { name: 'Won', by: (ad) => ad.revenue, show: (ad) => money(ad.revenue, currency), number: true, minor: true },
  { name: 'ROAS', by: roas, show: (ad) => h('b', null, times(roas(ad))), number: true },
];

// tiring tells what a buyer must know; that an ad is well, or too young to tell, is no news.
const tiring = (ad) => !['HEALTHY', 'INSUFFICIENT_DATA'].includes(ad.fatigue_status);

const ageHours = (ad) => Math.max(0, (Date.now() - new Date(ad.created_at)) / 3_600_000);

function optimizer(campaign, ads) {
  const active = ads.filter((ad) => ad.status === 'ACTIVE');
  const paused = ads.filter((ad) => ad.status === 'PAUSED');
  if (!may('editor')) return sheet(h('h2', null, 'Budget'), h('p', { class: 'soft' }, 'Splitting a budget needs the role editor; yours is viewer.'));
  const total = h('input', { type: 'number', min: 0, step: 'any', required: true, value: campaign.total_budget });
  const withPaused = h('input', { type: 'checkbox' });
  const result = h('div');
  const optimize = action('Optimize budget', async () => {
    const chosen = withPaused.checked ? [...active, ...paused] : active;
    if (chosen.length === 0) throw new Error('No ad of this campaign is active. Tick the box to look at the paused ones.');
    const split = await api.select({ ad_states: chosen.map(stateOf), total_budget: Number(total.value), account_id: campaign.account_id });
    fill(result, splitView(split, Object.fromEntries(ads.map((ad) => [ad.id, ad.name]))), queuer(split));
  }, { primary: true, submit: true, busy: 'Splitting …' });
  return sheet(
    h('h2', null, 'Budget'),
    h('p', { class: 'soft small' }, `Splits the day’s budget across ${plural(active.length, 'active ad')} by what each is likely to return. These are recommendations: nothing moves before you queue them, and then by the account’s mode.`),
    form({ class: 'row' }, optimize, field(`Budget a day, ${campaign.currency}`, total),
      paused.length > 0 && h('label', null, withPaused, `with ${plural(paused.length, 'paused ad')}`), optimize),
    result);
}

// queuer queues what a split recommends.
function queuer(split) {
  return action('Queue these changes', async () => {
    const told = await api.apply(split.decision_id);
    const not = told.ads.filter((ad) => !ad.change_id && ad.status !== 'unchanged');
    return [`${plural(told.queued, 'ad')} of ${told.ads.length} queued. `, h('a', { href: '#/changes' }, 'See the changes'), not.length > 0 && ` ${not[0].ad_id}: ${not[0].reason}`];
  }, { busy: 'Queueing …' });
}

// stateOf is an ad as the allocation takes it. A budget that is not known is left
// out, so that it is estimated and limits nothing.
function stateOf(ad) {
  return {
    ad_id: ad.id,
    impressions: ad.impressions,
    clicks: ad.clicks,
    spend: ad.spend,
    pipeline_value: ad.pipeline_value,
    cash_revenue: ad.revenue,
    age_hours: ageHours(ad),
    current_budget: ad.daily_budget || undefined,
  };
}
