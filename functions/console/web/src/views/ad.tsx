// One ad: its days, the deals it is credited with and why, whether it tires, what was changed, and its creative.
import { useState } from 'react'
import { Link, useParams } from 'wouter'
import { useGet, useSend, type Answer } from '../api/query'
import { may } from '../auth/session'
import { Badge, Facts, Field, Go, Load, Notice, Sheet, Tiles, View } from '../parts/basic'
import { ctr, decimals, money, number, roas, share, time, times, words } from '../parts/format'
import { HistoryTable } from './changes/history'
import { CreditedDeals, Differs } from './deals'
import { DayCharts } from './series'

type Detail = Answer<'/api/ads/detail/{id}'>

export function AdView() {
  const id = decodeURIComponent(useParams().id ?? '')
  const ad = useGet('/api/ads/detail/{id}', { path: { id } })
  return <Load of={ad} what="the ad">{(one) => <Shown key={id} ad={one} />}</Load>
}

function Shown({ ad }: { ad: Detail }) {
  const history = useGet('/api/ads/history', { query: { ad_id: ad.id, limit: 50 } })
  return (
    <View title={ad.name} crumbs={[['Campaigns', '/campaigns'], [ad.campaign_name, `/campaigns/${encodeURIComponent(ad.campaign_id)}`]]}
      beside={<><Badge of={ad.status} /><Badge of={ad.fatigue_status} /></>} lead={ad.name !== ad.id && <span className="id">{ad.id}</span>}>
      <Tiles of={[
        ['Budget a day', ad.daily_budget ? money(ad.daily_budget, ad.currency) : 'not known'], ['Spend', money(ad.spend, ad.currency)], ['Pipeline value', money(ad.pipeline_value, ad.currency)],
        ['Won', money(ad.revenue, ad.currency)], ['Pipeline ROAS', times(roas(ad))], ['CTR', share(ctr(ad), 2)],
      ]} />
      <Sheet title="Day by day"><Load of={history} what="its days">{({ history: entries }) => <DayCharts days={ad.days} currency={ad.currency} history={entries} fatigue />}</Load></Sheet>
      <div className="two">
        <Fatigue ad={ad} />
        <Differs deals={ad.deals} left={ad.deals_left} currency={ad.currency} through={ad.synced_through} />
      </div>
      <CreditedDeals deals={ad.deals} left={ad.deals_left} currency={ad.currency} />
      {may('editor') && <Change ad={ad} />}
      <Load of={history} what="its changes">{({ history: entries }) => (entries.length === 0
        ? <Sheet title="Changes"><p className="soft">Nothing was changed on this ad by this system.</p></Sheet>
        : <Sheet flush title="Changes"><HistoryTable entries={entries} /></Sheet>)}</Load>
      <Creative ad={ad} />
    </View>
  )
}

function Fatigue({ ad }: { ad: Detail }) {
  const check = useSend('post', '/api/ml/fatigue/check')
  const days = ad.days.filter((one) => one.impressions > 0).slice(-30)
  const told = check.data
  return (
    <Sheet title="Does it tire?" beside={<Badge of={ad.fatigue_status} />}>
      <p>The sweep looks every two hours and found: {words(ad.fatigue_status).toLowerCase()}.{ad.fatigue_since && <span className="soft"> Since {time(ad.fatigue_since)}.</span>}</p>
      {may('editor') && days.length > 0 && (
        <Go label="Check its history now" busy={check.isPending} error={check.error} onClick={() => check.mutate({
          body: { ad_id: ad.id, metrics_history: days.map((one) => ({ date: one.day, ctr: one.clicks / one.impressions, frequency: one.frequency ?? 1, cpm: one.spend / one.impressions * 1000, impressions: one.impressions })) } as never,
        })} />
      )}
      {told && (
        <div role="status">
          <p><Badge of={told.status} /> {told.reason} Confidence {share(told.confidence)}.{told.days_until_critical !== undefined && told.days_until_critical !== null && ` Critical in about ${number(Math.round(told.days_until_critical))} days.`}</p>
          <Facts of={told.signals.map((one) => [words(one.rule), `${share(one.observed, 1)} against ${share(one.limit, 1)}: ${share(one.probability)} likely${one.holds ? ', holds' : ''}`])} />
        </div>
      )}
      {may('editor') && <Refresh ad={ad} />}
    </Sheet>
  )
}

function Refresh({ ad }: { ad: Detail }) {
  const refresh = useSend('post', '/api/titan/director/refresh-creative', ['/api/titan/director/refreshes'])
  return <Go label="Ask for a replacement creative" busy={refresh.isPending} error={refresh.error} done={refresh.data && <>It is being planned. <Link href="/creative">See the plans</Link></>}
    onClick={() => refresh.mutate({ body: { ad_id: ad.id, reason: 'asked for on the ad’s page' } })} />
}

/** Change is a member's own change of the ad, through the same queue. */
function Change({ ad }: { ad: Detail }) {
  const queue = useSend('post', '/api/ads/changes', ['/api/ads/changes', '/api/ads/history'])
  const [budget, setBudget] = useState('')
  const done = queue.data && (queue.data.reason ?? <>Queued as {words(queue.data.status).toLowerCase()}. <Link href="/changes">See the changes</Link></>)
  return (
    <Sheet title="Change it yourself">
      <form className="row" onSubmit={(event) => { event.preventDefault(); queue.mutate({ body: { ad_id: ad.id, target_budget: Number(budget), reason: 'set on the ad’s page' } }) }}>
        <Field label={`Budget a day, ${ad.currency}`}><input type="number" min="0" step={10 ** -decimals(ad.currency)} required value={budget} onChange={(event) => setBudget(event.target.value)} /></Field>
        <Go label="Queue this budget" submit busy={queue.isPending} error={queue.error} done={done} />
        {(ad.status === 'ACTIVE' || ad.status === 'PAUSED') && (
          <Go label={ad.status === 'ACTIVE' ? 'Queue a pause' : 'Queue a start'} disabled={queue.isPending}
            onClick={() => queue.mutate({ body: { ad_id: ad.id, status: ad.status === 'ACTIVE' ? 'PAUSED' : 'ACTIVE', reason: 'set on the ad’s page' } })} />
        )}
      </form>
    </Sheet>
  )
}

function Creative({ ad }: { ad: Detail }) {
  const dna = ad.creative_dna
  return (
    <Sheet title="Its creative" beside={<Link href={`/winners?q=${encodeURIComponent(JSON.stringify(dna ?? {}))}`}>Winners like it</Link>}>
      {dna && Object.keys(dna).length > 0
        ? <ul className="chips">{Object.entries(dna).filter(([, value]) => typeof value !== 'object').map(([key, value]) => <li key={key}><span className="soft">{words(key)}</span> {String(value)}</li>)}</ul>
        : <Notice>Nothing is known of its creative yet: upload its video under Creative.</Notice>}
    </Sheet>
  )
}
