// HubSpot: the portal, its webhook and subscriptions, what its stages stand for, and how far reading it back has come.
import { useMutation } from '@tanstack/react-query'
import { newKey } from '@geminivideo/ml-api'
import { useState } from 'react'
import { client } from '../../api/client'
import { invalidate, useGet, useSend, type Answer } from '../../api/query'
import { useUnsaved } from '../../parts/address'
import { Badge, Facts, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { money, number, plural, share, time, words } from '../../parts/format'

type Connection = NonNullable<Answer<'/api/connections/hubspot'>['connections']>[number] & { backfill?: Progress; reconcile?: Reconcile }
interface Progress { status?: string; done?: number; total?: number; deals_done?: number; deals_total?: number; started_at?: string; completed_at?: string; error?: string }
interface Reconcile { last_run_at?: string; seen?: number; repaired?: number; lag_seconds?: number; status?: string; error?: string }

const subscriptions = [
  'deal.creation', 'deal.deletion', 'deal.merge', 'deal.restore', 'deal.associationChange', 'deal.propertyChange: dealstage', 'deal.propertyChange: amount', 'deal.propertyChange: pipeline',
  'contact.creation', 'contact.merge', 'contact.deletion', 'contact.privacyDeletion',
]

export function HubSpotPage() {
  const found = useGet('/api/connections/hubspot', undefined, { refetchInterval: (query) => ((query.state.data?.connections ?? []).some((one) => (one as Connection).backfill?.status === 'running') ? 3000 : false) })
  return (
    <>
      <Load of={found} what="the portals">{({ connections }) => <>{((connections ?? []) as Connection[]).map((one) => <Portal key={one.portal_id} portal={one} />)}</>}</Load>
      <Connect />
      <Sheet title="What HubSpot must send">
        <p>In the HubSpot app, under Webhooks, set this target URL and subscribe to these events:</p>
        <Copy text={`${location.origin}/webhooks/hubspot`} />
        <ul className="chips">{subscriptions.map((one) => <li key={one}><code>{one}</code></li>)}</ul>
      </Sheet>
      <Load of={found} what="the portals">{({ connections }) => <>{(connections ?? []).filter((one) => one.connected).map((one) => <Stages key={one.portal_id} portal={one.portal_id} several={(connections ?? []).length > 1} />)}</>}</Load>
    </>
  )
}

export function Copy({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  return <div className="row"><code>{text}</code><Go label="Copy" plain done={copied && 'Copied.'} onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true), () => undefined)} /></div>
}

function Portal({ portal }: { portal: Connection }) {
  const { backfill, reconcile } = portal
  const again = useMutation({
    mutationFn: () => (client.POST as (path: string, init: unknown) => Promise<unknown>)('/api/connections/hubspot/reconcile', { body: { portal_id: portal.portal_id }, params: { header: { 'Idempotency-Key': newKey() } } }),
    onSuccess: () => invalidate('/api/connections/hubspot'),
  })
  const [done, total] = [backfill?.done ?? backfill?.deals_done, backfill?.total ?? backfill?.deals_total]
  return (
    <Sheet title={`Portal ${portal.portal_id}`} beside={<Badge mood={portal.connected ? 'good' : 'bad'}>{portal.connected ? 'connected' : 'disconnected'}</Badge>}>
      <Facts of={[
        ['Since', `${time(portal.connected_at)} by ${portal.connected_by}`], ['Client secret', portal.client_secret.source === 'own' ? `your own, set ${time(portal.client_secret.set_at)}` : 'the deployment’s app'], ['Access token set', time(portal.access_token.set_at)],
        reconcile && ['Read again', `${reconcile.last_run_at ? time(reconcile.last_run_at) : 'not yet'}: ${number(reconcile.seen)} seen, ${number(reconcile.repaired)} repaired`],
      ]} />
      {backfill && (
        <div role="status">
          <p>Reading back the past: {words(backfill.status ?? 'waiting')}{done !== undefined && `, ${plural(done, 'deal')}${total !== undefined ? ` of ${number(total)}` : ''}`}</p>
          {backfill.status === 'running' && <progress aria-label="Backfill" value={done !== undefined && total ? done / total : undefined} max={1} />}
          {backfill.error && <Notice mood="bad">{backfill.error}</Notice>}
        </div>
      )}
      {portal.last_error && <Notice mood="bad">{portal.last_error}</Notice>}
      <Go label="Read it again now" busy={again.isPending} error={again.error} done={again.isSuccess && 'It is being read.'} onClick={() => again.mutate()} />
    </Sheet>
  )
}

function Connect() {
  const put = useSend('put', '/api/connections/hubspot', ['/api/connections/hubspot'])
  const [portal, setPortal] = useState('')
  const [token, setToken] = useState('')
  const [secret, setSecret] = useState('')
  return (
    <Sheet title="Connect a portal, or renew its credentials">
      <form className="stack" onSubmit={(event) => {
        event.preventDefault()
        put.mutate({ body: { portal_id: Number(portal), access_token: token.trim(), ...(secret.trim() && { client_secret: secret.trim() }) } }, { onSuccess: () => { setToken(''); setSecret('') } })
      }}>
        <div className="grid">
          <Field label="Portal id (Hub ID)"><input value={portal} onChange={(event) => setPortal(event.target.value)} inputMode="numeric" pattern="[0-9]+" title="digits" required /></Field>
          <Field label="Access token of the private app"><input type="password" autoComplete="off" value={token} onChange={(event) => setToken(event.target.value)} required /></Field>
          <Field label="Client secret" hint="Only for an app of your own; it verifies the webhooks."><input type="password" autoComplete="off" value={secret} onChange={(event) => setSecret(event.target.value)} /></Field>
        </div>
        <Go label="Connect" submit primary busy={put.isPending} error={put.error} done={put.isSuccess && 'Connected. The deals of the last 540 days are read back.'} />
      </form>
    </Sheet>
  )
}

/** Stages says what each of the portal's stages stands for. */
function Stages({ portal, several }: { portal: number; several: boolean }) {
  const found = useGet('/api/connections/hubspot/stages', { query: { portal_id: portal } })
  const put = useSend('put', '/api/connections/hubspot/stages', ['/api/connections/hubspot/stages', '/api/deals/funnel', '/api/campaigns'])
  const [edits, setEdits] = useState(new Map<string, string>())
  useUnsaved(edits.size > 0)
  return (
    <Sheet title={`What its stages stand for${several ? `, portal ${portal}` : ''}`}>
      <Load of={found} what="the stages">{(mapping) => (
        <form className="stack" onSubmit={(event) => {
          event.preventDefault()
          put.mutate({
            body: {
              portal_id: portal, stages: [...edits].map(([key, to]) => {
                const [pipeline_id = '', stage_id = ''] = key.split('\n')
                const stage = mapping.pipelines.flatMap((one) => one.stages.map((two) => ({ ...two, pipeline_id: one.pipeline_id }))).find((one) => one.pipeline_id === pipeline_id && one.stage_id === stage_id)
                if (to === '+new') return { pipeline_id, stage_id, stage_name: (stage?.label ?? stage_id).toLowerCase().replaceAll(/[^a-z0-9]+/g, '_').replaceAll(/^_|_$/g, ''), value: stage?.offer_value, confidence: stage?.probability }
                return { pipeline_id, stage_id, stage_name: to === '' ? null : to }
              }) as never,
            },
          }, { onSuccess: () => setEdits(new Map()) })
        }}>
          {mapping.unmapped.length > 0 && <Notice mood="warn">{plural(mapping.unmapped.length, 'stage')} with deals {mapping.unmapped.length === 1 ? 'stands' : 'stand'} for nothing yet; their deals are valued 0.</Notice>}
          <p className="small soft">An average deal is worth {money(mapping.average_deal, mapping.currency)}; a stage that is offered as new starts at its probability of that.</p>
          {mapping.pipelines.map((pipeline) => (
            <fieldset key={pipeline.pipeline_id} className="stack">
              <legend>{pipeline.label || pipeline.pipeline_id}</legend>
              <div className="grid">{pipeline.stages.map((stage) => {
                const key = `${pipeline.pipeline_id}\n${stage.stage_id}`
                return (
                  <Field key={key} label={<>{stage.label || stage.stage_id} <Badge mood={stage.status === 'mapped' ? 'good' : stage.status === 'prefilled' ? '' : 'warn'}>{stage.status}</Badge></>} hint={`${plural(stage.deals, 'deal')}${stage.probability !== undefined ? `, ${share(stage.probability)} likely` : ''}`}>
                    <select value={edits.get(key) ?? stage.stage_name ?? ''} onChange={(event) => setEdits(new Map(edits).set(key, event.target.value))}>
                      <option value="">stands for nothing</option>
                      {mapping.stages.map((own) => <option key={own.stage_name} value={own.stage_name}>{words(own.stage_name)}, {money(own.value, mapping.currency)}</option>)}
                      {!stage.stage_name && stage.offer_value !== undefined && <option value="+new">a stage of its own, {money(stage.offer_value, mapping.currency)}</option>}
                    </select>
                  </Field>
                )
              })}</div>
            </fieldset>
          ))}
          <Go label="Save the mapping" submit primary disabled={edits.size === 0} busy={put.isPending} error={put.error} done={put.data && `Saved. ${plural(put.data.revalued_deals, 'deal')} revalued.`}>
            {edits.size > 0 && <button type="button" onClick={() => setEdits(new Map())}>Take back</button>}
          </Go>
        </form>
      )}</Load>
    </Sheet>
  )
}
