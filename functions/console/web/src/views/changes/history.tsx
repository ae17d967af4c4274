// The audit trail: every attempt, who asked for it, and why.
import { Link } from 'wouter'
import { previous, useGet, type Answer } from '../../api/query'
import { AdField } from '../../parts/adfield'
import { useParam } from '../../parts/address'
import { Badge, Empty, Field, Load, Sheet, View } from '../../parts/basic'
import { money, time, words } from '../../parts/format'
import { Table, type Column } from '../../parts/table'

type Entry = Answer<'/api/ads/history'>['history'][number]
const outcomes = ['applied', 'dry_run', 'held', 'failed', 'unknown', 'superseded', 'rejected', 'undone'] as const

export function HistoryView() {
  const [outcome, setOutcome] = useParam('outcome')
  const [ad, setAd] = useParam('ad')
  const [cursor, setCursor] = useParam('from')
  const list = useGet('/api/ads/history', { query: { limit: 100, outcome: (outcome || undefined) as 'applied', ad_id: ad.trim() || undefined, cursor: cursor || undefined } }, { placeholderData: previous })
  return (
    <View title="History of changes" crumbs={[['Changes', '/changes']]} lead="Every attempt to change something on the ad platform, with what became of it. It cannot be edited.">
      <div className="row">
        <Field label="Outcome"><select value={outcome} onChange={(event) => { setCursor(''); setOutcome(event.target.value) }}><option value="">All</option>{outcomes.map((one) => <option key={one} value={one}>{words(one)}</option>)}</select></Field>
        <AdField label="Ad, by its name" id={ad} choose={(next) => { setCursor(''); setAd(next) }} />
      </div>
      <Load of={list} what="the history">{({ history }) => (history.length === 0
        ? <Sheet><Empty title="Nothing here" hint="The first change that is tried is kept here, with what became of it." /></Sheet>
        : <Sheet flush><HistoryTable entries={history} /></Sheet>)}</Load>
      <div className="row">
        {cursor && <button type="button" onClick={() => setCursor('')}>The newest</button>}
        {list.data?.next_cursor && <button type="button" onClick={() => setCursor(list.data?.next_cursor ?? '')}>Older ones</button>}
      </div>
    </View>
  )
}

export const HistoryTable = ({ entries }: { entries: Entry[] }) => <Table caption="History" param="history" rows={entries} id={(one) => one.id} height={70} columns={columns} />

const columns: Column<Entry>[] = [
  { name: 'When', by: (one) => one.at, show: (one) => <span className="nowrap">{time(one.at)}</span> },
  { name: 'Ad', by: (one) => one.ad_name, show: (one) => <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{one.ad_name}</Link> },
  { name: 'Outcome', by: (one) => one.outcome, show: (one) => <Badge of={one.outcome} /> },
  { name: 'Before', by: (one) => one.before_budget, number: true, show: (one) => (one.before_status ? words(one.before_status) : money(one.before_budget, one.currency)) },
  { name: 'After', by: (one) => one.after_budget, number: true, show: (one) => (one.after_status ? words(one.after_status) : money(one.after_budget, one.currency)) },
  { name: 'Why', by: (one) => one.reason, wide: true, show: (one) => <>{one.reason}<span className="small soft line">by {one.initiator}{one.platform_trace && `, Meta’s trace ${one.platform_trace}`}</span></> },
]
