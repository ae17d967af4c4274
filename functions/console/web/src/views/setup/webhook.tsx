// The company's own webhook: where it is told of what happens, and a test of it.
import { useState } from 'react'
import { previous, useGet, useSend, type Answer } from '../../api/query'
import { Badge, Copy, Empty, Facts, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { number, time, words } from '../../parts/format'
import { Table } from '../../parts/table'

type Hook = Answer<'/api/connections/webhook'>

export function WebhookPage() {
  const found = useGet('/api/connections/webhook')
  return <Load of={found} what="the webhook">{(hook) => <Form hook={hook} />}</Load>
}

function Form({ hook: read }: { hook: Hook }) {
  const put = useSend('put', '/api/connections/webhook', [])
  // What was saved is shown without reading it anew, for the secret is in this answer only.
  const hook: Hook = put.data ? { ...read, ...put.data } : read
  const test = useSend('post', '/api/connections/webhook/test', ['/api/connections/webhook', '/api/connections/webhook/attempts'])
  const [url, setUrl] = useState(hook.url ?? '')
  const [kinds, setKinds] = useState(new Set(hook.kinds))
  const [rotate, setRotate] = useState(false)
  const secret = put.data?.secret
  const told = test.data
  return (
    <>
      <Sheet title="Where notices go" beside={hook.configured && <Badge mood={hook.enabled ? 'good' : 'bad'}>{hook.enabled ? 'on' : 'off'}</Badge>}>
        {hook.configured && <Facts of={[['Last delivered', time(hook.last_delivered_at)], hook.failing_since && ['Failing since', `${time(hook.failing_since)}; it is switched off after a week of that`], hook.last_error && ['Last failure', `${time(hook.last_failed_at)}: ${hook.last_error}`], hook.disabled_reason && ['Off because', hook.disabled_reason], hook.previous_secret_until && ['The old secret signs too until', time(hook.previous_secret_until)]]} />}
        <form className="stack" onSubmit={(event) => { event.preventDefault(); put.mutate({ body: { url: url.trim(), kinds: [...kinds], ...(rotate && { rotate_secret: true }) } }) }}>
          <Field label="Address" hint="https; each notice is signed by Standard Webhooks."><input type="url" required value={url} onChange={(event) => setUrl(event.target.value)} placeholder="https://hooks.example.com/ads" /></Field>
          <fieldset><legend>What it is told of (none chosen: all)</legend>
            <div className="grid">{hook.all_kinds.map((kind) => <label key={kind} className="check"><input type="checkbox" checked={kinds.has(kind)} onChange={(event) => { const next = new Set(kinds); if (event.target.checked) next.add(kind); else next.delete(kind); setKinds(next) }} />{words(kind.replaceAll('.', ' '))}</label>)}</div>
          </fieldset>
          {hook.configured && <label className="check"><input type="checkbox" checked={rotate} onChange={(event) => setRotate(event.target.checked)} />Make a new secret; the old one signs beside it for a while</label>}
          <Go label="Save" submit primary busy={put.isPending} error={put.error} done={put.isSuccess && 'Saved.'}>
            {hook.enabled && <Go label="Switch it off" busy={put.isPending} onClick={() => put.mutate({ body: { url: hook.url ?? url, disabled: true } })} />}
          </Go>
        </form>
        {secret && <Notice mood="warn"><p>Its secret is shown this once. Keep it where the receiver verifies signatures.</p><Copy text={secret} /></Notice>}
      </Sheet>
      {hook.configured && (
        <Sheet title="Test it">
          <Go label="Send a test notice" busy={test.isPending} error={test.error} onClick={() => test.mutate({})} />
          {told && <Notice mood={told.delivered ? 'good' : 'bad'}>{told.delivered ? 'Delivered' : `Not delivered: ${told.reason ?? 'no reason given'}`}{told.status !== undefined && `, it answered ${told.status}`} after {told.took_ms} ms.</Notice>}
        </Sheet>
      )}
      {hook.configured && <Attempts />}
    </>
  )
}

/** Attempts lists what was sent and what came of it. */
function Attempts() {
  const [failed, setFailed] = useState(false)
  const found = useGet('/api/connections/webhook/attempts', { query: { limit: 100, ...(failed && { failed }) } }, { placeholderData: previous })
  return (
    <Sheet flush title="Attempts of the last 30 days">
      <label className="check inner"><input type="checkbox" checked={failed} onChange={(event) => setFailed(event.target.checked)} />Only those that failed</label>
      <Load of={found} what="the attempts">{({ attempts }) => (attempts.length === 0 ? <Empty title={failed ? 'No attempt failed' : 'Nothing was sent yet'} hint="Notices are sent as things happen; a test notice can be sent above." /> : (
        <Table caption="Attempts" param="attempts" rows={attempts} id={(one) => `${one.notice_id}/${one.attempt}`} columns={[
          { name: 'Sent', by: (one) => one.at, show: (one) => time(one.at) },
          { name: 'Notice', by: (one) => one.kind, show: (one) => <>{words(one.kind.replaceAll('.', ' '))}<span className="id line">{one.notice_id}</span></> },
          { name: 'Attempt', by: (one) => one.attempt, number: true, minor: true, show: (one) => number(one.attempt) },
          { name: 'Outcome', by: (one) => (one.delivered ? 1 : 0), wide: true, show: (one) => <><Badge mood={one.delivered ? 'good' : 'bad'}>{one.delivered ? 'delivered' : 'not delivered'}</Badge> {one.reason ?? (one.status !== undefined && `answered ${one.status}`)}</> },
          { name: 'Took', by: (one) => one.took_ms, number: true, minor: true, show: (one) => `${number(one.took_ms)} ms` },
          { name: 'Next', by: (one) => one.next_at, minor: true, show: (one) => (one.next_at ? time(one.next_at) : '–') },
        ]} />
      ))}</Load>
    </Sheet>
  )
}
