// Ad accounts: how much the system may do by itself, and what it goes by.
import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { useGet, useSend, type Answer, type Input } from '../../api/query'
import { may } from '../../auth/session'
import { Alarm } from '../../parts/alarm'
import { useUnsaved } from '../../parts/address'
import { Badge, Empty, Facts, Field, Go, Load, Notice, Sheet, Trouble } from '../../parts/basic'
import { Dialog } from '../../parts/dialog'
import { money, number, plural, share } from '../../parts/format'

type Account = Answer<'/api/accounts'>['accounts'][number]
const modes = {
  dry_run: 'Dry run: says what it would do', approval: 'Approval: only what an admin approved', live: 'Live: by itself, within the limits',
} as const

export function AccountsPage() {
  const found = useGet('/api/accounts')
  return <Load of={found} what="accounts">{({ accounts }) => (accounts.length === 0
    ? <Sheet><Empty title="No ad account yet" hint="Connect Meta, or import a report." to={may('admin') ? ['Connect Meta', '/setup/meta'] : false} /></Sheet>
    : <>{accounts.map((one) => <AccountSheet key={one.account_id} account={one} />)}</>)}</Load>
}

function AccountSheet({ account }: { account: Account }) {
  return (
    <Sheet title={account.name || account.account_id} beside={<><Badge mood={account.connected ? 'good' : 'warn'}>{account.connected ? 'connected to Meta' : 'not connected'}</Badge>{account.paused && <Badge mood="bad">writes stopped</Badge>}</>}>
      {account.account_alerts.filter((one) => !one.resolved_at).map((one) => <Alarm key={one.kind} of={one} />)}
      <Facts of={[['Id', <span className="id">{account.account_id}</span>], ['Ads', number(account.num_ads)], ['Currency and time zone', `${account.currency}, ${account.time_zone}`], ['Mode', modes[account.mode]],
        ['Break-even ROAS', account.break_even ?? (account.margin ? `from a margin of ${share(account.margin)}` : '1, unless said otherwise')], ['A conversion without a value', money(account.conversion_value, account.currency)]]} />
      {may('admin') && <><Mode account={account} /><details><summary>Change its settings</summary><Settings account={account} /></details></>}
    </Sheet>
  )
}

/** Mode changes how much the system may do; going live asks for the account's name. */
function Mode({ account }: { account: Account }) {
  const [mode, setMode] = useState<Account['mode']>(account.mode)
  const [asking, setAsking] = useState(false)
  const [typed, setTyped] = useState('')
  const put = useSend('put', '/api/accounts/{id}', ['/api/accounts'])
  const called = account.name || account.account_id
  const save = (body: Input<'/api/accounts/{id}', 'put'>) => put.mutate({ params: { path: { id: account.account_id } }, body }, { onSuccess: () => { setAsking(false); setTyped('') } })
  return (
    <form className="row" onSubmit={(event) => { event.preventDefault(); if (mode === 'live') setAsking(true); else save({ mode }) }}>
      <Field label="Mode" broad><select value={mode} onChange={(event) => setMode(event.target.value as Account['mode'])}>{Object.entries(modes).map(([value, name]) => <option key={value} value={value}>{name}</option>)}</select></Field>
      <Go label={mode === 'live' ? 'Go live …' : 'Save'} name={`Save the mode of ${called}`} submit busy={put.isPending} disabled={mode === account.mode} error={asking ? undefined : put.error} done={put.isSuccess && 'Saved.'} />
      <Go label={account.paused ? 'Let its writes go on' : 'Stop its writes'} danger={!account.paused} busy={put.isPending} onClick={() => save({ paused: !account.paused })} />
      <Dialog title={`Let ${called} go live?`} open={asking} onClose={() => setAsking(false)}>
        <p>From then on budgets of {plural(account.num_ads, 'ad')} move on Meta by themselves: a fifth in six hours at most, each with its reason in the history. “Stop all writes” at the top ends it within a minute.</p>
        <Field label={<>Type the account’s name to go on: <b>{called}</b></>}><input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" autoFocus /></Field>
        <Trouble error={put.error} />
        <div className="row">
          <Go label="Go live" danger busy={put.isPending} disabled={typed.trim() !== called} onClick={() => save({ mode: 'live' })} />
          <Go label="Not now" onClick={() => setAsking(false)} />
        </div>
      </Dialog>
    </form>
  )
}

const text = (value: number | string | null | undefined) => (value === null || value === undefined ? '' : String(value))
const amount = (value: string) => (value.trim() === '' ? null : Number(value))

function Settings({ account }: { account: Account }) {
  const put = useSend('put', '/api/accounts/{id}', ['/api/accounts', '/api/campaigns'])
  const start = {
    name: account.name, niche: account.niche, conversion_value: text(account.conversion_value), break_even: text(account.break_even), margin: text(account.margin),
    attribution_model: account.attribution_model as string, click_retention_days: text(account.click_retention_days), lead_property: account.lead_property, verdict_spend: text(account.verdict_spend),
    gemini_daily_cap_usd: text(account.gemini_daily_cap_usd), write_back: account.write_back,
  }
  const form = useForm({ defaultValues: start })
  const { isDirty, dirtyFields } = form.formState
  useUnsaved(isDirty)
  const numbers = ['conversion_value', 'break_even', 'margin', 'click_retention_days', 'verdict_spend', 'gemini_daily_cap_usd']
  const save = form.handleSubmit((values) => {
    const changed = Object.fromEntries(Object.entries(values).filter(([name]) => name in dirtyFields).map(([name, value]) => [name, numbers.includes(name) ? amount(String(value)) : value]))
    put.mutate({ params: { path: { id: account.account_id } }, body: changed as never }, { onSuccess: () => form.reset(values) })
  })
  return (
    <form className="stack" onSubmit={(event) => void save(event)}>
      <div className="grid">
        <Field label="Name"><input maxLength={200} {...form.register('name')} /></Field>
        <Field label="What it sells (its niche)"><input maxLength={200} {...form.register('niche')} /></Field>
        <Field label={`A conversion without a value is worth, ${account.currency}`} hint="Empty: nothing. Never revenue."><input inputMode="decimal" {...form.register('conversion_value')} /></Field>
        <Field label="Break-even ROAS" hint="The pipeline ROAS at which a sale pays for its ad."><input inputMode="decimal" {...form.register('break_even')} /></Field>
        <Field label="Or the margin, 0 to 1"><input inputMode="decimal" {...form.register('margin')} /></Field>
        <Field label="Credit goes to"><select {...form.register('attribution_model')}><option value="last">the last click</option><option value="first">the first click</option><option value="position">first and last most</option></select></Field>
        <Field label="Unmatched clicks go after, days" hint="8 to 400"><input type="number" min="8" max="400" {...form.register('click_retention_days')} /></Field>
        <Field label="Spend before an ad is judged"><input inputMode="decimal" {...form.register('verdict_spend')} /></Field>
        <Field label="Contact property with Meta’s lead id"><input maxLength={200} {...form.register('lead_property')} /></Field>
        <Field label="Gemini, USD a day at most"><input inputMode="decimal" {...form.register('gemini_daily_cap_usd')} /></Field>
        <label className="check"><input type="checkbox" {...form.register('write_back')} />Write the credited ad into the CRM’s deals</label>
      </div>
      {isDirty && <Notice>There are edits that are not saved.</Notice>}
      <Go label="Save the settings" submit primary disabled={!isDirty} busy={put.isPending} error={put.error} done={put.isSuccess && 'Saved.'}><button type="button" onClick={() => form.reset()}>Take back</button></Go>
    </form>
  )
}
