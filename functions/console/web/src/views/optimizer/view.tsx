// The budget optimizer: a campaign's day budget split by what each ad is likely to return.
import { useState, type FormEvent } from 'react'
import { Link } from 'wouter'
import type { Ad, Campaign } from '@geminivideo/ml-api'
import { tiring, useAds } from '../../api/ads'
import { useGet, useSend } from '../../api/query'
import { may } from '../../auth/session'
import { useParam } from '../../parts/address'
import { Badge, Empty, Facts, Field, Go, Load, Notice, Sheet, View } from '../../parts/basic'
import { ctr, money, number, plural, roas, share, signed, time, times } from '../../parts/format'
import { Table, type Column } from '../../parts/table'
import { useCampaigns } from '../campaigns'
import { readIds, readLimits, stateOf, writeIds, writeLimits, type Limit, type Split } from './ask'
import { Backtest } from './backtest'
import { Result } from './result'
import { WhatIf } from './whatif'

export function OptimizerView() {
  const campaigns = useCampaigns()
  return (
    <View title="Budget" lead="Splits a campaign’s day budget across its ads by what each is likely to return. These are recommendations: nothing moves before you apply them, and then by the account’s mode.">
      <Load of={campaigns} what="campaigns">{(all) => (all.length === 0
        ? <Sheet><Empty title="No campaigns yet" hint="There is nothing to split before the first ads are known." to={['Campaigns', '/campaigns']} /></Sheet>
        : <Chosen campaigns={all} />)}</Load>
    </View>
  )
}

function Chosen({ campaigns }: { campaigns: Campaign[] }) {
  const biggest = campaigns.reduce((a, b) => (b.status === 'ACTIVE' && (a.status !== 'ACTIVE' || b.spend > a.spend) ? b : a))
  const [id, setId] = useParam('campaign', biggest.id)
  const campaign = campaigns.find((one) => one.id === id) ?? biggest
  const ads = useAds(campaign.id)
  return (
    <>
      <div className="row">
        <Field label="Campaign"><select value={campaign.id} onChange={(event) => setId(event.target.value)}>
          {campaigns.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
        </select></Field>
        <Facts of={[['Ads', number(campaign.num_ads)], ['Total budget a day', money(campaign.total_budget, campaign.currency)]]} />
      </div>
      <Load of={ads} what="the campaign’s ads">{({ ads: all, more }) => (more
        ? <div className="loading" role="status">Loading the campaign’s ads …</div>
        : <Optimizer key={campaign.id} campaign={campaign} ads={all} />)}</Load>
      <Earlier account={campaign.account_id} />
    </>
  )
}

/** Earlier is the account's last splits: each can be opened and computed again. */
function Earlier({ account }: { account: string }) {
  const list = useGet('/api/decisions', { query: { limit: 5, account_id: account } })
  return (
    <Sheet title="Earlier splits of this account" beside={<Link href={`/decisions?account=${encodeURIComponent(account)}`}>All of them</Link>}>
      <Load of={list} what="the decisions">{({ decisions }) => (decisions.length === 0
        ? <p className="soft">None yet. Each split is stored with all that it was computed from, and can be computed again.</p>
        : <ul className="list">{decisions.map((one) => (
          <li key={one.decision_id}><Link href={`/decisions/${one.decision_id}`}>{time(one.created_at)}</Link> {money(one.total_budget, one.currency)} across {plural(one.num_ads, 'ad')}
            {one.expected_gain !== undefined && <>, expected gain <b>{signed(one.expected_gain, one.currency)}</b> a day</>}<span className="small soft line">by {one.requested_by}</span></li>
        ))}</ul>)}</Load>
    </Sheet>
  )
}

export function Optimizer({ campaign, ads }: { campaign: Campaign; ads: Ad[] }) {
  const [total, setTotal] = useParam('total', String(campaign.total_budget))
  const [out, setOut] = useParam('exclude')
  const [limitText, setLimitText] = useParam('limits')
  const [paused, setPaused] = useParam('paused')
  const [unspent, setUnspent] = useParam('unspent')
  const select = useSend('post', '/api/ml/battle-hardened/select', ['/api/decisions'])
  const [split, setSplit] = useState<Split>()
  const [choosing, setChoosing] = useState(false)
  const candidates = ads.filter((ad) => ad.status === 'ACTIVE' || (paused && ad.status === 'PAUSED'))
  const excluded = readIds(out)
  const limits = readLimits(limitText)
  const chosen = candidates.filter((ad) => !excluded.has(ad.id))
  const amount = Number(total)
  const request = (budget: number, seed?: number) => ({
    ad_states: candidates.map((ad) => stateOf(ad, limits.get(ad.id), excluded.has(ad.id))), total_budget: budget, account_id: campaign.account_id,
    ...(unspent && { allow_unspent: true }), ...(seed !== undefined && { seed }),
  })
  const optimize = (event: FormEvent) => {
    event.preventDefault()
    select.mutate({ body: request(amount) as never }, { onSuccess: (told) => setSplit(told as Split) })
  }
  if (!may('editor')) return <Sheet title="Budget"><p className="soft">Splitting a budget needs the role editor; yours is viewer.</p></Sheet>
  const limit = (ad: Ad, side: 'min' | 'max', value: string) => {
    const next = new Map(limits)
    next.set(ad.id, { ...next.get(ad.id), [side]: value === '' ? undefined : Number(value) })
    setLimitText(writeLimits(next))
  }
  const include = (ids: string[], on: boolean) => {
    const next = new Set(excluded)
    for (const id of ids) { if (on) next.delete(id); else next.add(id) }
    setOut(writeIds(next))
  }
  return (
    <>
      <Sheet title="What to split">
        <form className="stack" onSubmit={optimize}>
          <div className="row">
            <Field label={`Budget a day, ${campaign.currency}`}><input type="number" min="0" step="any" required value={total} onChange={(event) => setTotal(event.target.value)} /></Field>
            <label className="check"><input type="checkbox" checked={Boolean(paused)} onChange={(event) => setPaused(event.target.checked ? '1' : '')} />with paused ads</label>
            <label className="check"><input type="checkbox" checked={Boolean(unspent)} onChange={(event) => setUnspent(event.target.checked ? '1' : '')} />some may stay unspent</label>
            <Go label="Optimize budget" submit primary busy={select.isPending} disabled={chosen.length === 0} error={select.error} />
          </div>
          {chosen.length === 0 && <Notice>{ads.length === 0 ? 'This campaign has no ads yet.' : 'No ad is chosen. Tick the box to look at the paused ones, or include some below.'}</Notice>}
        </form>
        <details onToggle={(event) => setChoosing(event.currentTarget.open)}>
          <summary>Choose ads, floors and ceilings: {plural(chosen.length, 'ad')} of {number(candidates.length)}{limits.size > 0 && `, ${plural(limits.size, 'limit')}`}</summary>
          {choosing && <Table caption="Ads to split across" param="ads" rows={candidates} id={(ad) => ad.id} sorted="-Spend" columns={choose(excluded, limits, include, limit, candidates, campaign.currency)} />}
        </details>
      </Sheet>
      {split && <Result split={split} ads={ads} campaign={campaign} excluded={excluded} />}
      <div className="two">
        {split && <WhatIf key={split.decision_id} split={split} total={amount} ask={request} currency={campaign.currency} />}
        <Backtest account={campaign.account_id} />
      </div>
    </>
  )
}

const choose = (excluded: Set<string>, limits: Map<string, Limit>, include: (ids: string[], on: boolean) => void, limit: (ad: Ad, side: 'min' | 'max', value: string) => void, all: Ad[], currency: string): Column<Ad>[] => [
  {
    name: 'Chosen', head: <label><input type="checkbox" aria-label="Choose all" checked={excluded.size === 0} onChange={(event) => include(all.map((ad) => ad.id), event.target.checked)} /></label>,
    show: (ad) => <input type="checkbox" aria-label={`Choose ${ad.name}`} checked={!excluded.has(ad.id)} onChange={(event) => include([ad.id], event.target.checked)} />,
  },
  { name: 'Ad', by: (ad) => ad.name, wide: true, show: (ad) => <><b>{ad.name}</b> {tiring(ad) && <Badge of={ad.fatigue_status} />}</> },
  { name: 'Budget', by: (ad) => ad.daily_budget || null, number: true, show: (ad) => (ad.daily_budget ? money(ad.daily_budget, currency) : '–') },
  { name: 'Spend', by: (ad) => ad.spend, number: true, minor: true, show: (ad) => money(ad.spend, currency) },
  { name: 'CTR', by: ctr, number: true, minor: true, show: (ad) => share(ctr(ad), 2) },
  { name: 'ROAS', by: roas, number: true, minor: true, show: (ad) => times(roas(ad)) },
  { name: 'At least', number: true, show: (ad) => <input type="number" min="0" step="any" aria-label={`At least for ${ad.name}`} value={limits.get(ad.id)?.min ?? ''} onChange={(event) => limit(ad, 'min', event.target.value)} /> },
  { name: 'At most', number: true, show: (ad) => <input type="number" min="0" step="any" aria-label={`At most for ${ad.name}`} value={limits.get(ad.id)?.max ?? ''} onChange={(event) => limit(ad, 'max', event.target.value)} /> },
]
