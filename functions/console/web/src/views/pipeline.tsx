// What the stages of the pipeline are worth, the deals in them, and how deals find their ads.
import { useMemo, useState } from 'react'
import { useForm } from 'react-hook-form'
import { zodResolver } from '@hookform/resolvers/zod'
import * as z from 'zod/mini'
import { useGet, useSend, type Answer } from '../api/query'
import { may, signedInAs } from '../auth/session'
import { useUnsaved } from '../parts/address'
import { Bar, Empty, Facts, Field, Go, Load, Notice, Sheet, Tiles, View } from '../parts/basic'
import { decimals, money, number, plural, share, signed, words } from '../parts/format'
import { Chart } from '../parts/lazychart'
import { Table } from '../parts/table'

z.config({ jitless: true }) // no code from text under our policy

type Stage = NonNullable<Answer<'/api/ml/synthetic-revenue/stages'>['stages']>[number]
type Funnel = Answer<'/api/deals/funnel'>

export function PipelineView() {
  const tenant = signedInAs()?.tenant ?? ''
  const stages = useGet('/api/ml/synthetic-revenue/stages', { query: { tenant_id: tenant } })
  const funnel = useGet('/api/deals/funnel')
  return (
    <View title="Pipeline" lead="A deal is worth the value of the stage it is in, long before it closes. Change what a stage is worth, and its open deals and their ads are revalued at once.">
      <div className="two">
        <Sheet title="What a stage is worth">
          <Load of={stages} what="the stages">{(told) => <ul className="list">{(told.stages ?? []).map((one) => <StageRow key={one.stage_name} stage={one} currency={told.currency} funnel={funnel.data} />)}</ul>}</Load>
        </Sheet>
        <Load of={funnel} what="the deals">{(told) => <FunnelSheet told={told} />}</Load>
      </div>
      <Layers />
      <Load of={funnel} what="the deals">{(told) => <LeftOut told={told} />}</Load>
    </View>
  )
}

function StageRow({ stage, currency, funnel }: { stage: Stage; currency: string; funnel?: Funnel }) {
  const [editing, setEditing] = useState(false)
  const [saved, setSaved] = useState('')
  return (
    <li className="stage">
      <div><h3>{words(stage.stage_name)}</h3><span className="small soft">{[`${share(stage.confidence)} confidence`, stage.description].filter(Boolean).join(' · ')}</span></div>
      {editing
        ? <EditStage stage={stage} currency={currency} funnel={funnel} close={(said = '') => { setEditing(false); setSaved(said) }} />
        : <div className="number"><div className="worth">{money(stage.value, currency)}</div>{may('editor') && <button type="button" className="plain" aria-label={`Edit ${words(stage.stage_name)}`} onClick={() => { setSaved(''); setEditing(true) }}>Edit</button>}</div>}
      {saved && <p className="notice good small whole" role="status">{saved}</p>}
    </li>
  )
}

/** amount is text that is an amount of this currency: what has more decimals than it has is refused, not cut. */
const amount = (places: number, currency: string) => z.string().check(
  z.trim(), z.minLength(1, 'Write an amount.'),
  z.regex(/^\d+([.,]\d+)?$/, 'Write an amount of 0 or more, in digits.'),
  z.refine((text) => (text.split(/[.,]/)[1] ?? '').length <= places, places === 0 ? `${currency} has no decimals.` : `At most ${places} decimals: ${currency} has no smaller amounts.`),
  z.refine((text) => Number(text.replace(',', '.')) <= 1_000_000_000, 'At most 1,000,000,000.'),
)

function EditStage({ stage, currency, funnel, close }: { stage: Stage; currency: string; funnel?: Funnel; close: (said?: string) => void }) {
  const places = decimals(currency)
  const schema = useMemo(() => z.object({
    value: amount(places, currency),
    sure: z.string().check(z.regex(/^\d+(\.\d+)?$/, 'Write a percent from 0 to 100.'), z.refine((text) => Number(text) <= 100, 'At most 100 %.')),
    description: z.string().check(z.maxLength(500, 'At most 500 letters.')),
  }), [places, currency])
  const form = useForm({ resolver: zodResolver(schema), mode: 'onChange', defaultValues: { value: String(stage.value), sure: String(Number((stage.confidence * 100).toFixed(4))), description: stage.description ?? '' } })
  const put = useSend('put', '/api/ml/synthetic-revenue/stages/{stage_name}', ['/api/ml/synthetic-revenue/stages', '/api/deals/funnel', '/api/campaigns', '/api/campaigns/{id}/ads'])
  const { errors, isDirty } = form.formState
  useUnsaved(isDirty && !put.isSuccess)
  const next = Number(form.watch('value').replace(',', '.'))
  const here = funnel?.stages?.find((one) => one.stage_name === stage.stage_name)
  const save = form.handleSubmit(({ value, sure, description }) => put.mutate({
    params: { path: { stage_name: stage.stage_name } },
    body: { tenant_id: signedInAs()?.tenant ?? '', value: Number(value.replace(',', '.')), confidence: Number((Number(sure) / 100).toFixed(6)), description },
  }, { onSuccess: (told) => close(`Saved. ${plural(told.revalued_deals, 'deal')} revalued.`) }))
  return (
    <form className="stack" onSubmit={(event) => void save(event)} noValidate>
      <div className="row">
        <Field label={`Value, ${currency}`} error={errors.value?.message}><input inputMode="decimal" autoFocus aria-invalid={Boolean(errors.value)} {...form.register('value')} /></Field>
        <Field label="Confidence, %" error={errors.sure?.message}><input inputMode="decimal" aria-invalid={Boolean(errors.sure)} {...form.register('sure')} /></Field>
      </div>
      <Field label="Description" error={errors.description?.message}><input {...form.register('description')} /></Field>
      {here && !errors.value && next !== stage.value && (
        <Notice>{here.outcome === 'open'
          ? <>{plural(here.count, 'open deal')} here {here.count === 1 ? 'is' : 'are'} worth {money(here.value, currency)} together now and would be worth about {money(here.count * next, currency)}: {signed(here.count * (next - stage.value), currency)} for the ads behind them.</>
          : <>{plural(here.count, 'deal')} stand here. Those with an amount of their own keep it.</>}</Notice>
      )}
      <Go label="Save" submit primary busy={put.isPending} error={put.error}><button type="button" onClick={() => close()}>Cancel</button></Go>
    </form>
  )
}

function FunnelSheet({ told }: { told: Funnel }) {
  const count = told.open.count + told.won.count + told.lost.count
  const stages = told.stages ?? []
  const most = Math.max(...stages.map((stage) => stage.count), 1)
  return (
    <div className="stack">
      <Tiles of={(['open', 'won', 'lost'] as const).map((name) => [`${words(name)}: ${plural(told[name].count, 'deal')}`, money(told[name].value, told.currency, true)])} />
      <Sheet title="The deal funnel">
        {count === 0
          ? <Empty title="No deals yet" hint="Deals appear here as the CRM tells of them. Connect HubSpot and move a deal." to={may('admin') && ['Connect HubSpot', '/setup/hubspot']} />
          : <div className="funnel">{stages.map((stage) => (
            <FunnelRow key={stage.stage_name} name={words(stage.stage_name)} share={stage.count / most} lost={stage.outcome === 'lost'} count={plural(stage.count, 'deal')} value={money(stage.value, told.currency, true)} />
          ))}</div>}
      </Sheet>
    </div>
  )
}

const FunnelRow = ({ name, share: part, lost, count, value }: { name: string; share: number; lost: boolean; count: string; value: string }) => (
  <><span>{name}</span><Bar share={part} className={lost ? 'lost' : ''} /><span className="number">{count}</span><span className="number">{value}</span></>
)

const colours = { lead_id: 'ink', url_param: 'accent', fingerprint: 'warn', probabilistic: 'bad', unattributed: 'soft' } as const

/** Layers shows by which layer deals find their ads, week by week. */
function Layers() {
  const told = useGet('/api/deals/attribution')
  const weeks = told.data?.weeks
  const x = useMemo(() => (weeks ?? []).map((one) => Date.parse(`${one.week}T00:00:00Z`) / 1000), [weeks])
  const series = useMemo(() => Object.entries(colours).map(([method, colour]) => ({
    label: words(method), colour, show: number, values: (weeks ?? []).map((one) => one.methods.find((two) => two.method === method)?.deals ?? 0),
  })).filter((one) => one.values.some((value) => value > 0)), [weeks])
  return (
    <Sheet title="How deals find their ads, by week">
      <Load of={told} what="the attribution">{({ weeks: all }) => (all.length === 0
        ? <p className="soft">No deal has been looked at yet.</p>
        : <Chart label="Deals by attribution layer and week" x={x} series={series} />)}</Load>
    </Sheet>
  )
}

/** LeftOut says what the figures leave out, and why. */
function LeftOut({ told }: { told: Funnel }) {
  const { unmapped_stages: unmapped, unusable_amounts: unusable, unattributed, unattributed_reasons: why, currency } = told
  if ((unmapped?.length ?? 0) + (unusable?.length ?? 0) + unattributed.count === 0) return null
  return (
    <Sheet title="What these figures leave out">
      {unattributed.count > 0 && <><p>{plural(unattributed.count, 'deal')} worth {money(unattributed.value, currency)} could be credited to no ad:</p><ul className="small">{(why ?? []).map((one) => <li key={one.reason}>{one.reason || 'not looked at yet'}: {number(one.count)}, {money(one.value, currency)}</li>)}</ul></>}
      {(unusable?.length ?? 0) > 0 && <><p>Deals valued 0 because their amount cannot be used:</p><Facts of={(unusable ?? []).map((one) => [one.reason, plural(one.count, 'deal')])} /></>}
      {(unmapped?.length ?? 0) > 0 && (
        <>
          <p>Stages of the CRM that stand for none of yours; their deals are valued 0. Map them under Set-up, HubSpot.</p>
          <Table caption="Stages that are not mapped" param="unmapped" rows={unmapped ?? []} id={(one) => `${one.portal_id}/${one.pipeline_id}/${one.stage_id}`} columns={[
            { name: 'Stage', by: (one) => one.stage_id, show: (one) => <span className="id">{one.stage_id}</span> },
            { name: 'Pipeline', by: (one) => one.pipeline_id, show: (one) => <span className="id">{one.pipeline_id}</span> },
            { name: 'Deals', by: (one) => one.count, number: true, show: (one) => number(one.count) },
          ]} />
        </>
      )}
    </Sheet>
  )
}
