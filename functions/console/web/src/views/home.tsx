// What one opens in the morning: what happened, what it is to bring, what waits, and what is wrong.
import { Link } from 'wouter'
import type { Answer } from '../api/query'
import { useGet } from '../api/query'
import { may, signedInAs } from '../auth/session'
import { Alarm } from '../parts/alarm'
import { Badge, Empty, Load, Sheet, Tiles, View, type Mood } from '../parts/basic'
import { ago, change, money, signed, words } from '../parts/format'

type History = Answer<'/api/ads/history'>['history']
type Changes = Answer<'/api/ads/changes'>['changes']
type Accounts = Answer<'/api/accounts'>

type Health = Answer<'/api/data-health'>
type HealthCheck = Health['accounts'][number]['checks'][number]

export function HomeView() {
  const accounts = useGet('/api/accounts')
  const open = useGet('/api/ads/changes', { query: { status: 'open', limit: 200 } })
  const history = useGet('/api/ads/history', { query: { limit: 200 } })
  const health = useGet('/api/data-health')
  const decisions = useGet('/api/decisions', { query: { limit: 10 } })
  return (
    <View title="Home" name={greeting()} lead="What the system did, what it expects, and what needs you.">
      <Load of={history} what="what was done">{({ history: entries }) => (
        <Load of={open} what="what waits">{({ changes }) => <Overnight entries={entries} changes={changes} decisions={decisions.data?.decisions ?? []} />}</Load>
      )}</Load>
      <Alarms accounts={accounts.data?.accounts ?? []} />
      <div className="two">
        <div className="stack">
          <Load of={open} what="what waits">{({ changes }) => <Waiting changes={changes} />}</Load>
          <Load of={history} what="what was done">{({ history: entries }) => <Done entries={entries} />}</Load>
        </div>
        <div className="stack">
          <Load of={accounts} what="the set-up">{(told) => <Checklist accounts={told} health={health.data} split={(decisions.data?.decisions.length ?? 0) > 0} known={decisions.isSuccess} />}</Load>
          <Load of={health} what="the data’s health">{(found) => <DataHealth of={found} accounts={accounts.data} />}</Load>
        </div>
      </div>
    </View>
  )
}

function greeting() {
  const hour = new Date().getHours()
  const name = signedInAs()?.email.split('@')[0] ?? ''
  return `${hour < 12 ? 'Good morning' : hour < 18 ? 'Good afternoon' : 'Good evening'}, ${name}`
}

const dayMs = 86_400_000
const since = (entries: History) => entries.filter((one) => Date.now() - Date.parse(one.at) < dayMs)

function Overnight({ entries, changes, decisions }: { entries: History; changes: Changes; decisions: Answer<'/api/decisions'>['decisions'] }) {
  const last = since(entries)
  const applied = last.filter((one) => one.outcome === 'applied')
  const moved = new Map<string, number>()
  for (const one of applied) {
    if (one.after_budget === undefined || one.before_budget === undefined) continue
    moved.set(one.currency, (moved.get(one.currency) ?? 0) + Math.abs(one.after_budget - one.before_budget))
  }
  const waiting = changes.filter((one) => one.status === 'awaiting_approval')
  const trouble = last.filter((one) => one.outcome === 'failed' || one.outcome === 'unknown').length
  const newest = decisions[0]
  return <Tiles of={[
    ['Changes made since yesterday', applied.length],
    ['Money moved a day', moved.size === 0 ? money(0, changes[0]?.currency ?? newest?.currency ?? 'USD', true) : [...moved].map(([currency, amount]) => money(amount, currency, true)).join(', ')],
    ['Wait for approval', <Link key="w" href="/changes?show=awaiting_approval">{waiting.length}</Link>],
    ['Failed or unclear', <Link key="f" href="/changes?show=failed">{trouble}</Link>],
    newest?.expected_gain !== undefined
      ? ['Expected gain in pipeline a day, last split', <Link key="d" href={`/decisions/${newest.decision_id}`} title={`Against the budgets before it. All of it should bring ${money(newest.expected_return, newest.currency)} a day.`}>{signed(newest.expected_gain, newest.currency)}</Link>]
      : ['Last split of a budget', newest ? <Link key="d" href={`/decisions/${newest.decision_id}`}>{ago(newest.created_at)}</Link> : 'never'],
  ]} />
}

/** Alarms are those of accounts whose ads fell together; none of the ads alone is at fault. */
function Alarms({ accounts }: { accounts: Accounts['accounts'] }) {
  return <>{accounts.flatMap((account) => account.account_alerts.filter((one) => !one.resolved_at).map((one) => (
    <Alarm key={account.account_id + one.kind} of={one} account={accounts.length > 1 ? account.name || account.account_id : undefined} />
  )))}</>
}

function Waiting({ changes }: { changes: Changes }) {
  const waiting = changes.filter((one) => one.status === 'awaiting_approval')
  const held = changes.filter((one) => one.status === 'held')
  return (
    <Sheet title="What waits" beside={<Link href="/changes">All changes</Link>}>
      {waiting.length + held.length === 0 ? <p className="soft">Nothing waits for you.</p> : (
        <ul className="list">{[...waiting, ...held].slice(0, 6).map((one) => (
          <li key={one.id}><Badge of={one.status} /> <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{one.ad_name}</Link>{' '}
            {one.target_budget !== undefined && one.before_budget !== undefined && <>{money(one.before_budget, one.currency)} → <b>{money(one.target_budget, one.currency)}</b></>}
            {one.target_status && words(one.target_status)}
            <span className="small soft line">{one.why_not ?? one.reason}</span></li>
        ))}</ul>
      )}
    </Sheet>
  )
}

function Done({ entries }: { entries: History }) {
  const last = since(entries)
  return (
    <Sheet title="Done since yesterday" beside={<Link href="/changes/history">The whole history</Link>}>
      {last.length === 0 ? <p className="soft">Nothing was changed in the last 24 hours.</p> : (
        <ul className="list">{last.slice(0, 8).map((one) => (
          <li key={one.id}><Badge of={one.outcome} /> <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{one.ad_name}</Link>{' '}
            {one.after_budget !== undefined && one.before_budget !== undefined && one.before_budget > 0 && <>{money(one.before_budget, one.currency)} → {money(one.after_budget, one.currency)} ({change((one.after_budget / one.before_budget - 1) * 100)})</>}
            <span className="small soft line">{ago(one.at)}: {one.reason}</span></li>
        ))}</ul>
      )}
    </Sheet>
  )
}

const mood: Record<HealthCheck['state'], Mood> = { ok: 'good', warn: 'warn', bad: 'bad', never: 'warn' }
function DataHealth({ of, accounts }: { of: Health; accounts?: Accounts }) {
  const wrong = of.accounts.flatMap(({ account_id, checks }) => checks.filter((one) => one.state !== 'ok').map((check) => ({ account_id, check })))
  const seen = new Set<string>()
  const shown = wrong.filter(({ check }) => { const text = check.check + check.detail; if (seen.has(text)) return false; seen.add(text); return true })
  const name = (id: string) => accounts?.accounts.find((one) => one.account_id === id)?.name ?? id
  return (
    <Sheet title="Is the data right?" id="data-health">
      {shown.length === 0 ? <p><Badge mood="good">all well</Badge> Clicks, CRM events and figures arrive as they should.</p> : (
        <ul className="list">{shown.map(({ account_id, check }) => (
          <li key={account_id + check.check}>
            <Badge mood={mood[check.state]}>{words(check.check)}</Badge> {check.detail}{of.accounts.length > 1 && <span className="soft"> ({name(account_id)})</span>}
            {check.action && <span className="small line">{check.action} <Link href={check.link.replace(/^\/console/, '')}>Go there</Link></span>}
          </li>
        ))}</ul>
      )}
    </Sheet>
  )
}

function Checklist({ accounts, health, split, known }: { accounts: Accounts; health?: Health; split: boolean; known: boolean }) {
  const checks = health?.accounts.flatMap((one) => one.checks) ?? []
  const came = (name: string) => checks.some((one) => one.check === name && one.state !== 'never')
  const mapped = !checks.some((one) => one.check === 'unmapped_stages' && one.state !== 'ok')
  const steps: [boolean, string, string][] = [
    [accounts.accounts.some((one) => one.connected), 'Connect Meta', '/setup/meta'],
    [came('crm_events') || came('reconcile'), 'Connect HubSpot or another CRM', '/setup/hubspot'],
    [came('crm_events') && mapped, 'Say what the CRM’s stages stand for', '/setup/hubspot'],
    [came('clicks'), 'Receive the first click', '/setup/keys'],
    [came('crm_events'), 'Receive the first deal', '/setup/hubspot'],
    [split, 'Split the first budget', '/budget'],
  ]
  const left = steps.filter(([done]) => !done)
  if (!health || !known || left.length === 0) return null
  return (
    <Sheet title={`Set-up: ${steps.length - left.length} of ${steps.length} done`}>
      {accounts.accounts.length === 0 && <Empty title="Welcome" hint="Connect Meta and your CRM, and the system begins to learn which ads bring deals." to={may('admin') && ['Begin', '/setup/meta']} />}
      <ul className="list checks">{steps.map(([done, title, to]) => (
        <li key={title}><span aria-hidden="true">{done ? '✓' : '○'}</span><span>{title}{done && <span className="visually-hidden"> (done)</span>}</span>{!done && <Link href={to}>Do it</Link>}</li>
      ))}</ul>
    </Sheet>
  )
}
