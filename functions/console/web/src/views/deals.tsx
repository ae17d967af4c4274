// The deals that are credited to an ad, or to a campaign's ads: which, why, and why Meta counts otherwise.
import { Link } from 'wouter'
import type { Answer } from '../api/query'
import { Badge, Empty, Sheet } from '../parts/basic'
import { day, money, number, plural, share, time, words } from '../parts/format'
import { Table, type Column } from '../parts/table'

type Deal = Answer<'/api/ads/detail/{id}'>['deals'][number]

/** Differs says why Meta's own figures are others, with the numbers of these deals. */
export function Differs({ deals, left, currency, through }: { deals: Deal[]; left: number; currency: string; through?: string }) {
  const layers = new Map<string, number>()
  for (const deal of deals) layers.set(deal.method, (layers.get(deal.method) ?? 0) + 1)
  const open = deals.filter((deal) => deal.outcome === 'open')
  const of = left > 0 ? `Of the ${number(deals.length)} largest of ${number(deals.length + left)} deals` : `Of ${plural(deals.length, 'deal')}`
  return (
    <Sheet title="Why this differs from Meta">
      <ul>
        <li>Meta counts what its pixel saw and models the rest; here a deal of the CRM counts, once, at the value of the stage it is in. {of} {number(open.length)} {open.length === 1 ? 'is' : 'are'} still open and worth {money(open.reduce((sum, one) => sum + one.value, 0), currency)}: Meta knows nothing of them yet.</li>
        <li>A deal is credited to the click before its contact’s first conversion, at most 7 days back; Meta also counts views.</li>
        <li>How these deals were matched: {layers.size === 0 ? 'there are none yet' : [...layers].map(([method, count]) => `${count} by ${words(method).toLowerCase()}`).join(', ')}.</li>
        <li>Spend and clicks are Meta’s own, by the account’s days{through && `, up to ${day(through)}`}; Meta still corrects the last days.</li>
      </ul>
    </Sheet>
  )
}

/** CreditedDeals lists deals with why they are credited; several says that they are of more than one ad. */
export function CreditedDeals({ deals, left, currency, several }: { deals: Deal[]; left: number; currency: string; several?: boolean }) {
  const title = several ? 'Deals credited to its ads' : 'Deals credited to it'
  if (deals.length === 0) return <Sheet title={title}><Empty title="No deal yet" hint={`Deals appear here when a click of ${several ? 'one of these ads' : 'this ad'} is found behind them.`} /></Sheet>
  return (
    <Sheet flush title={title}>
      <Table caption="Deals" param="deals" rows={deals} id={(one) => `${one.source}/${one.deal_id}`} sorted="-Value" columns={columns(currency, several)} />
      {left > 0 && <p className="inner soft small">And {number(left)} more, each worth no more than these.</p>}
    </Sheet>
  )
}

const columns = (currency: string, several?: boolean): Column<Deal>[] => [
  { name: 'Deal', by: (one) => one.deal_id, show: (one) => <><b>{one.deal_id}</b><span className="small soft line">{one.source}</span></> },
  ...(several ? [{ name: 'Ad', by: (one: Deal) => one.ad_name, show: (one: Deal) => <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{one.ad_name}</Link> }] : []),
  { name: 'Stage', by: (one) => one.stage, show: (one) => <Badge mood={one.outcome === 'won' ? 'good' : one.outcome === 'lost' ? 'bad' : ''}>{words(one.stage || 'unknown')}</Badge> },
  { name: 'Value', by: (one) => one.value, number: true, show: (one) => money(one.value, currency) },
  { name: 'Clicked', by: (one) => one.clicked_at, minor: true, show: (one) => time(one.clicked_at) },
  { name: 'Why this ad', wide: true, by: (one) => one.confidence, show: (one) => <>{words(one.method)}, {share(one.confidence)} sure<span className="small soft line">{one.reason}</span></> },
]
