// What the stages of the pipeline are worth, and the deals in them.

import { api } from './api.js';
import { bar, fill, h } from './dom.js';
import { money, number, plural, share, words } from './format.js';
import { action, empty, field, form, load, sheet, tiles, view } from './parts.js';
import { may } from './session.js';
import { table } from './table.js';

export function pipelineView() {
  const deals = h('div');
  const showDeals = () => load('the deals', api.funnel, funnel, deals);
  showDeals();
  return view('Pipeline', 'A deal is worth the value of the stage it is in, long before it closes. Change what a stage is worth, and its open deals and their ads are revalued at once.',
    h('div', { class: 'two' },
      sheet(h('h2', null, 'What a stage is worth'), load('the stages', api.stages, (told) => stages(told, showDeals))),
      deals));
}

function stages({ stages: all, currency }, changed) {
  return h('div', null, all.map((stage) => {
    const place = h('div', { class: 'stage' });
    rest(place, stage, currency, changed);
    return place;
  }));
}

function rest(place, stage, currency, changed, said) {
  fill(place,
    h('div', null, h('h3', null, words(stage.stage_name)), h('div', { class: 'small soft' }, [`${share(stage.confidence)} confidence`, stage.description].filter(Boolean).join(' · '))),
    h('div', null, h('div', { class: 'worth' }, money(stage.value, currency)),
      may('editor') && h('div', { class: 'number' }, h('button', { class: 'plain', 'aria-label': `Edit ${words(stage.stage_name)}`, onclick: () => edit(place, stage, currency, changed) }, 'Edit'))),
    said && h('p', { class: 'notice good small', role: 'status' }, said));
}

function edit(place, stage, currency, changed) {
  const value = h('input', { type: 'number', min: 0, step: 'any', required: true, value: stage.value });
  const sure = h('input', { type: 'number', min: 0, max: 100, step: 'any', required: true, value: Number((stage.confidence * 100).toFixed(4)) });
  const description = h('input', { maxlength: 500, value: stage.description });
  const save = action('Save', async () => {
    const told = await api.putStage(stage.stage_name, { value: Number(value.value), confidence: Number(sure.value) / 100, description: description.value });
    rest(place, { ...stage, ...told }, told.currency, changed, `Saved. ${plural(told.revalued_deals, 'deal')} revalued, ${plural(told.settled_ads, 'ad')} brought up to date.`);
    changed();
  }, { primary: true, submit: true, busy: 'Saving …' });
  fill(place, h('h3', null, words(stage.stage_name)),
    form({ class: 'stack' }, save,
      h('div', { class: 'row' }, field(`Value, ${currency}`, value), field('Confidence, %', sure)),
      field('Description', description),
      h('div', { class: 'action' }, save, h('button', { type: 'button', onclick: () => rest(place, stage, currency, changed) }, 'Cancel'))));
  value.focus();
}

function funnel(told) {
  const count = told.open.count + told.won.count + told.lost.count;
  const most = Math.max(...told.stages.map((stage) => stage.count), 1);
  return h('div', { class: 'stack' },
    tiles([['open', 'Open'], ['won', 'Won'], ['lost', 'Lost']].map(([name, label]) =>
      [`${label}: ${plural(told[name].count, 'deal')}`, money(told[name].value, told.currency, true)])),
    sheet(h('h2', null, 'The deal funnel'), count === 0
      ? empty('No deals yet', 'Deals appear here as the CRM tells of them. Connect HubSpot and move a deal.')
      : h('div', { class: 'funnel' }, told.stages.map((stage) => [
        h('span', null, words(stage.stage_name)), bar(stage.count / most, stage.outcome),
        h('span', { class: 'number' }, plural(stage.count, 'deal')), h('span', { class: 'number' }, money(stage.value, told.currency, true))]))),
    reported(told));
}

// reported is what the figures leave out, and why.
function reported({ unmapped_stages: unmapped, unusable_amounts: unusable, unattributed, unattributed_reasons: why, currency }) {
  if (unmapped.length + unusable.length + unattributed.count === 0) return null;
  return sheet(h('h2', null, 'What these figures leave out'),
    unattributed.count > 0 && h('p', null, `${plural(unattributed.count, 'deal')} worth ${money(unattributed.value, currency)} could be credited to no ad:`),
    unattributed.count > 0 && h('ul', { class: 'small' }, why.map((one) => h('li', null, `${one.reason || 'not looked at yet'}: ${number(one.count)}, ${money(one.value, currency)}`))),
    unusable.length > 0 && h('p', null, 'Deals valued 0 because their amount cannot be used:'),
    unusable.length > 0 && h('ul', { class: 'small' }, unusable.map((one) => h('li', null, `${one.reason}: ${plural(one.count, 'deal')}`))),
    unmapped.length > 0 && h('p', null, 'Stages of the CRM that stand for none of yours; their deals are valued 0:'),
    unmapped.length > 0 && table('Stages that are not mapped', [
      { name: 'Stage', by: (s) => s.stage_id, show: (s) => h('span', { class: 'id' }, s.stage_id) },
      { name: 'Pipeline', by: (s) => s.pipeline_id, show: (s) => h('span', { class: 'id' }, s.pipeline_id) },
      { name: 'Portal', by: (s) => s.portal_id, minor: true, show: (s) => String(s.portal_id) },
      { name: 'Deals', by: (s) => s.count, number: true, show: (s) => number(s.count) },
    ], unmapped));
}
