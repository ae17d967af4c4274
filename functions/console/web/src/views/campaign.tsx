// One campaign: its days, its ads, and the way to splitting its budget anew.
import { usePrefetchQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { Link, useParams } from 'wouter'
import type { Ad } from '@geminivideo/ml-api'
import { adsOf, tiring, useAds } from '../api/ads'
import { useAhead, useGet, type Answer } from '../api/query'
import { may } from '../auth/session'
import { useParam } from '../parts/address'
import { Badge, Empty, Field, Load, Sheet, View } from '../parts/basic'
import { ageHours, ctr, money, number, plural, roas, share, times } from '../parts/format'
import { Table, type Column } from '../parts/table'
import { Totals } from './campaigns'
import { HistoryTable } from './changes/history'
import { CreditedDeals, Differs } from './deals'
import { DayCharts } from './series'

type Campaign = Answer<'/api/campaigns/{id}'>

const asked = {
  days: (id: string) => ({ path: { id } }),
  history: (id: string) => ({ query: { campaign_id: id, limit: 200 } }),
  deals: (id: string) => ({ path: { id } }),
}

export function CampaignView() {
  const id = decodeURIComponent(useParams().id ?? '')
  const campaign = useGet('/api/campaigns/{id}', { path: { id }, query: { limit: 1 } })
  // All of it is asked for at once; each part below is drawn by itself when its own answer comes.
  usePrefetchQuery(adsOf(id))
  useAhead('/api/campaigns/{id}/days', asked.days(id))
  useAhead('/api/ads/history', asked.history(id))
  useAhead('/api/campaigns/{id}/deals', asked.deals(id))
  return (
    <Load of={campaign} what="the campaign">{(one) => (
      <View key={id} title={one.name} crumbs={[['Campaigns', '/campaigns']]} beside={<Badge of={one.status} />}
        lead={<>{one.name !== one.id && <span className="id">{one.id}</span>} {money(one.total_budget, one.currency)} a day. {may('editor') && <Link href={`/budget?campaign=${encodeURIComponent(id)}`}>Optimize budget</Link>}</>}>
        <Totals rows={[one]} currency={one.currency} of={['Ads', one.num_ads]} />
        <Sheet title="Day by day"><Days campaign={one} /></Sheet>
        <AdsOf campaign={one} />
        <Deals id={id} />
        <Changes id={id} />
      </View>
    )}</Load>
  )
}

function Days({ campaign: { id, currency } }: { campaign: Campaign }) {
  const days = useGet('/api/campaigns/{id}/days', asked.days(id))
  const history = useGet('/api/ads/history', asked.history(id))
  return <Load of={days} what="its days">{(told) => <DayCharts days={told.days} currency={currency} history={history.data?.history} />}</Load>
}

function AdsOf({ campaign }: { campaign: Campaign }) {
  const ads = useAds(campaign.id)
  return (
    <Load of={ads} what="its ads">{({ ads: all, more }) => (all.length === 0
      ? <Sheet><Empty title="No ads yet" hint="This campaign’s ads appear here with the next report that names them." to={may('editor') && ['Import a report', '/setup/import']} /></Sheet>
      : <AdTable all={all} more={more} campaign={campaign} />)}</Load>
  )
}

function AdTable({ all, more, campaign }: { all: Ad[]; more: boolean; campaign: Campaign }) {
  const [find, setFind] = useParam('find')
  const shown = useMemo(() => found(all, find), [all, find])
  return (
    <>
      <div className="row">
        <Field label="Find an ad"><input type="search" value={find} onChange={(event) => setFind(event.target.value)} /></Field>
        <span className="small soft" role="status">{more && `The first ${number(all.length)} of ${plural(campaign.num_ads, 'ad')}; the others are on their way.`}</span>
      </div>
      <Sheet flush><Table caption="Ads" rows={shown} id={(ad) => ad.id} sorted="-Spend" columns={columns(campaign.currency)} height={66} /></Sheet>
    </>
  )
}

function Deals({ id }: { id: string }) {
  const deals = useGet('/api/campaigns/{id}/deals', asked.deals(id))
  return (
    <Load of={deals} what="its deals">{(told) => <>
      <Differs deals={told.deals} left={told.deals_left} currency={told.currency} />
      <CreditedDeals several deals={told.deals} left={told.deals_left} currency={told.currency} />
    </>}</Load>
  )
}

function Changes({ id }: { id: string }) {
  const history = useGet('/api/ads/history', asked.history(id))
  return (
    <Load of={history} what="its changes">{({ history: entries }) => (entries.length === 0
      ? <Sheet title="Changes"><p className="soft">Nothing was changed in this campaign by this system.</p></Sheet>
      : <Sheet flush title="Changes"><HistoryTable entries={entries} /></Sheet>)}</Load>
  )
}

const found = (all: Ad[], find: string) => (find ? all.filter((ad) => `${ad.name} ${ad.id}`.toLowerCase().includes(find.toLowerCase())) : all)

const made = new Map<string, Column<Ad>[]>()

const columns = (currency: string): Column<Ad>[] => {
  const known = made.get(currency)
  if (known) return known
  const fresh = columnsIn(currency)
  made.set(currency, fresh)
  return fresh
}

const columnsIn = (currency: string): Column<Ad>[] => [
  {
    name: 'Ad', by: (ad) => ad.name, wide: true,
    show: (ad) => <><Link href={`/ads/${encodeURIComponent(ad.id)}`}>{ad.name}</Link> <span className="badges">{ad.status !== 'ACTIVE' && <Badge of={ad.status} />}{tiring(ad) && <Badge of={ad.fatigue_status} />}</span><span className="small soft line">{plural(Math.floor(ageHours(ad) / 24), 'day')} old</span></>,
  },
  { name: 'Budget', by: (ad) => ad.daily_budget || null, show: (ad) => (ad.daily_budget ? money(ad.daily_budget, currency) : '–'), number: true, minor: true },
  { name: 'Impressions', by: (ad) => ad.impressions, show: (ad) => number(ad.impressions), number: true, minor: true },
  { name: 'CTR', by: ctr, show: (ad) => share(ctr(ad), 2), number: true, minor: true },
  { name: 'Spend', by: (ad) => ad.spend, show: (ad) => money(ad.spend, currency), number: true },
  { name: 'Pipeline value', by: (ad) => ad.pipeline_value, show: (ad) => money(ad.pipeline_value, currency), number: true },
  { name: 'Won', by: (ad) => ad.revenue, show: (ad) => money(ad.revenue, currency), number: true, minor: true },
  { name: 'ROAS', by: roas, show: (ad) => <b>{times(roas(ad))}</b>, number: true },
]
