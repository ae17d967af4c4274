// Every allocation that was made.
import { Link } from 'wouter'
import { previous, useGet, type Answer } from '../api/query'
import { useParam } from '../parts/address'
import { Empty, Load, Sheet, View } from '../parts/basic'
import { money, number, signed, time } from '../parts/format'
import { Table, type Column } from '../parts/table'

type Entry = Answer<'/api/decisions'>['decisions'][number]

export function DecisionsView() {
  const [before, setBefore] = useParam('before')
  const [account, setAccount] = useParam('account')
  const accounts = useGet('/api/accounts').data?.accounts ?? []
  const list = useGet('/api/decisions', { query: { limit: 50, before: before || undefined, account_id: account || undefined } }, { placeholderData: previous })
  return (
    <View title="Decisions" lead="Every split of a budget is kept with what it was computed from, and any of them can be computed again.">
      {accounts.length > 1 && <div className="row"><label className="field"><span>Account</span><select value={account} onChange={(event) => setAccount(event.target.value)}><option value="">All</option>{accounts.map((one) => <option key={one.account_id} value={one.account_id}>{one.name || one.account_id}</option>)}</select></label></div>}
      <Load of={list} what="decisions">{({ decisions }) => (decisions.length === 0
        ? <Sheet><Empty title="No decisions yet" hint="Let a campaign’s budget be optimized: the split is kept here." to={['Budget', '/budget']} /></Sheet>
        : <Sheet flush><Table caption="Decisions" rows={decisions} id={(one) => one.decision_id} columns={columns(new Map(accounts.map((one) => [one.account_id, one.name || one.account_id])))} /></Sheet>)}</Load>
      <div className="row">
        {before && <button type="button" onClick={() => setBefore('')}>The newest</button>}
        {list.data?.next_before && <button type="button" onClick={() => setBefore(list.data?.next_before ?? '')}>Older ones</button>}
      </div>
    </View>
  )
}

const columns = (accounts: Map<string, string>): Column<Entry>[] => [
  { name: 'When', by: (one) => one.created_at, show: (one) => <Link href={`/decisions/${one.decision_id}`}>{time(one.created_at)}</Link> },
  { name: 'By', by: (one) => one.requested_by, minor: true, show: (one) => one.requested_by },
  { name: 'Account', by: (one) => one.account_id, minor: true, show: (one) => accounts.get(one.account_id) ?? one.account_id },
  { name: 'Ads', by: (one) => one.num_ads, number: true, show: (one) => number(one.num_ads) },
  { name: 'Budget', by: (one) => one.total_budget, number: true, show: (one) => money(one.total_budget, one.currency) },
  { name: 'Expected gain a day', by: (one) => one.expected_gain, number: true, show: (one) => (one.expected_gain === undefined ? '–' : signed(one.expected_gain, one.currency)) },
  { name: 'Unallocated', by: (one) => one.unallocated_budget, number: true, minor: true, show: (one) => money(one.unallocated_budget, one.currency) },
  { name: 'Model', by: (one) => one.model_version, minor: true, show: (one) => <span className="id">{one.model_version}</span> },
]
