// HubSpot: the portal, its webhook and subscriptions, what its stages stand for, and how far reading it back has come.
import { useState } from 'react'
import { useGet, useSend, type Answer } from '../../api/query'
import { Badge, Copy, Facts, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { number, plural, time, words } from '../../parts/format'
import { Mapping } from './mapping'

type Connection = NonNullable<Answer<'/api/connections/hubspot'>['connections']>[number]

const subscriptions = [
  'deal.creation', 'deal.deletion', 'deal.merge', 'deal.restore', 'deal.associationChange', 'deal.propertyChange: dealstage', 'deal.propertyChange: amount', 'deal.propertyChange: pipeline',
  'contact.creation', 'contact.merge', 'contact.deletion', 'contact.privacyDeletion',
]

export function HubSpotPage() {
  const found = useGet('/api/connections/hubspot', undefined, { refetchInterval: (query) => ((query.state.data?.connections ?? []).some((one) => under(one.backfill)) ? 3000 : false) })
  return (
    <>
      <Load of={found} what="the portals">{({ connections }) => <>{(connections ?? []).map((one) => <Portal key={one.portal_id} portal={one} />)}</>}</Load>
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

// under says whether a backfill is on its way.
const under = (backfill: Connection['backfill']) => backfill?.status === 'waiting' || backfill?.status === 'running'

function Portal({ portal }: { portal: Connection }) {
  const { backfill, reconcile } = portal
  const again = useSend('post', '/api/connections/hubspot/reconcile', ['/api/connections/hubspot'])
  return (
    <Sheet title={`Portal ${portal.portal_id}`} beside={<Badge mood={portal.connected ? 'good' : 'bad'}>{portal.connected ? 'connected' : 'disconnected'}</Badge>}>
      <Facts of={[
        ['Since', `${time(portal.connected_at)} by ${portal.connected_by}`], ['Client secret', portal.client_secret.source === 'own' ? `your own, set ${time(portal.client_secret.set_at)}` : 'the deployment’s app'], ['Access token set', time(portal.access_token.set_at)],
        reconcile && ['Compared with HubSpot', reconcile.last_finished_at ? `${time(reconcile.last_finished_at)}: ${plural(reconcile.seen, 'deal')} read, ${number(reconcile.repaired)} repaired${reconcile.erased ? `, ${plural(reconcile.erased, 'contact')} erased` : ''}` : 'not yet'],
        reconcile && ['Compared next', time(reconcile.next_at)],
      ]} />
      {backfill && (
        <div role="status">
          <p>Earlier deals, the last {plural(backfill.days, 'day')}: {words(backfill.status)}, {plural(backfill.read, 'deal')} read{backfill.total !== undefined && backfill.total !== null && ` of ${number(backfill.total)}`}</p>
          {under(backfill) && <progress aria-label="Earlier deals read" value={backfill.total ? backfill.read / backfill.total : undefined} max={1} />}
        </div>
      )}
      {reconcile?.last_error && <Notice mood="bad">{time(reconcile.last_error_at)}: {reconcile.last_error}</Notice>}
      {!!reconcile?.refused && <Notice mood="warn">HubSpot does not let us read {plural(reconcile.refused, 'deal')}: {reconcile.refused_deals?.slice(0, 3).map(one => `${one.deal_id} (${one.reason})`).join('; ')}{reconcile.refused > 3 ? ' and others' : ''}. Each comparison asks for them again.</Notice>}
      {portal.write_back_error && <Notice mood="bad">Credited ads are not written to its deals: {portal.write_back_error}</Notice>}
      {portal.last_error && <Notice mood="bad">{portal.last_error}</Notice>}
      {portal.connected && <>
        <Go label="Compare it with HubSpot now" busy={again.isPending} error={again.error} done={again.isSuccess && 'It is being compared.'} onClick={() => again.mutate({ body: { portal_id: portal.portal_id } })} />
        <Backfill portal={portal} />
      </>}
    </Sheet>
  )
}

/** Backfill reads the portal's earlier deals again, or ends the reading that is under way. */
function Backfill({ portal: { portal_id, backfill } }: { portal: Connection }) {
  const send = useSend('post', '/api/connections/hubspot/backfill', ['/api/connections/hubspot'])
  const [days, setDays] = useState('540')
  if (under(backfill)) return <Go label="Cancel the reading" name="Cancel the reading of earlier deals" danger busy={send.isPending} error={send.error} onClick={() => send.mutate({ body: { portal_id, cancel: true } })} />
  return (
    <form className="row" onSubmit={(event) => { event.preventDefault(); send.mutate({ body: { portal_id, backfill_days: Number(days) } }) }}>
      <Field label="Days back"><input type="number" required min="1" max="3650" step="1" value={days} onChange={(event) => setDays(event.target.value)} /></Field>
      <Go label="Read earlier deals" submit busy={send.isPending} error={send.error} />
    </form>
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
  return (
    <Sheet title={`What its stages stand for${several ? `, portal ${portal}` : ''}`}>
      <Load of={found} what="the stages">{(mapping) => <Mapping of={mapping} busy={put.isPending} error={put.error} revalued={put.data?.revalued_deals}
        save={(stages, saved) => put.mutate({ body: { portal_id: portal, stages } }, { onSuccess: saved })} />}</Load>
    </Sheet>
  )
}
