// All campaigns with what their ads did.
import { Link } from 'wouter'
import type { Campaign } from '@geminivideo/ml-api'
import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import { may } from '../auth/session'
import { useParam } from '../parts/address'
import { Badge, Empty, Field, Load, Sheet, Tiles, View } from '../parts/basic'
import { ctr, money, number, roas, share, times } from '../parts/format'
import { Table, type Column } from '../parts/table'

export const useCampaigns = () => useQuery({ queryKey: ['/api/campaigns', 'all'], queryFn: ({ signal }) => api.getCampaigns({ signal }) })

export function CampaignsView() {
  const campaigns = useCampaigns()
  const [find, setFind] = useParam('find')
  return (
    <View title="Campaigns" lead="What each campaign spent and what the deals that its ads started are worth today.">
      <Load of={campaigns} what="campaigns">{(all) => {
        if (all.length === 0) {
          return <Sheet><Empty title="No campaigns yet" hint="Campaigns appear here with the first ad report. Connect Meta, or export a report from Ads Manager as CSV and import it." to={may('editor') && ['Import a report', '/setup/import']} /></Sheet>
        }
        const currencies = [...new Set(all.map((one) => one.currency))].sort()
        const shown = all.filter((one) => `${one.name} ${one.id}`.toLowerCase().includes(find.toLowerCase()))
        return (
          <>
            {currencies.map((currency) => <Totals key={currency} rows={all.filter((one) => one.currency === currency)} currency={currency} />)}
            <div className="row"><Field label="Find by name or id"><input type="search" value={find} onChange={(event) => setFind(event.target.value)} /></Field></div>
            <Sheet flush><Table caption="Campaigns" columns={columns} rows={shown} id={(one) => one.id} sorted="-Spend" /></Sheet>
          </>
        )
      }}</Load>
    </View>
  )
}

const columns: Column<Campaign>[] = [
  { name: 'Campaign', by: (c) => c.name, wide: true, show: (c) => <><Link href={`/campaigns/${encodeURIComponent(c.id)}`}>{c.name}</Link>{c.name !== c.id && <span className="id line">{c.id}</span>}</> },
  { name: 'Status', by: (c) => c.status, show: (c) => <Badge of={c.status} />, minor: true },
  { name: 'Ads', by: (c) => c.num_ads, show: (c) => number(c.num_ads), number: true, minor: true },
  { name: 'Budget', by: (c) => c.total_budget, show: (c) => money(c.total_budget, c.currency), number: true, minor: true },
  { name: 'CTR', by: ctr, show: (c) => share(ctr(c), 2), number: true, minor: true },
  { name: 'Spend', by: (c) => c.spend, show: (c) => money(c.spend, c.currency), number: true },
  { name: 'Pipeline value', by: (c) => c.pipeline_value, show: (c) => money(c.pipeline_value, c.currency), number: true },
  { name: 'Won', by: (c) => c.revenue, show: (c) => money(c.revenue, c.currency), number: true, minor: true },
  { name: 'ROAS', by: roas, show: (c) => <b>{times(roas(c))}</b>, number: true },
]

interface Did { spend: number; pipeline_value: number; revenue: number; impressions: number; clicks: number }

/** Totals adds up campaigns of one currency, and says how many there are of them or of what they consist of. */
export function Totals({ rows, currency, of: [what, count] = ['Campaigns', rows.length] }: { rows: Did[]; currency: string; of?: [string, number] }) {
  const sum = { spend: 0, pipeline_value: 0, revenue: 0, impressions: 0, clicks: 0 }
  for (const row of rows) {
    sum.spend += row.spend
    sum.pipeline_value += row.pipeline_value
    sum.revenue += row.revenue
    sum.impressions += row.impressions
    sum.clicks += row.clicks
  }
  return <Tiles of={[
    ['Spend', money(sum.spend, currency, true)], ['Pipeline value', money(sum.pipeline_value, currency, true)], ['Won', money(sum.revenue, currency, true)],
    ['Pipeline ROAS', times(roas(sum))], ['CTR', share(ctr(sum), 2)], [what, number(count)],
  ]} />
}
