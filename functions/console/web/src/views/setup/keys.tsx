// Keys for click beacons: publishable ones for web pages, server keys for servers.
import { useState } from 'react'
import { useGet, useSend, type Answer } from '../../api/query'
import { Copy, Badge, Empty, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { time } from '../../parts/format'
import { Table } from '../../parts/table'

type Key = Answer<'/api/tenants/keys'>['keys'][number] & { kind?: 'publishable' | 'server' }
const renews = ['/api/tenants/keys'] as const

export function KeysPage() {
  const found = useGet('/api/tenants/keys')
  const post = useSend('post', '/api/tenants/keys', [...renews])
  const revoke = useSend('post', '/api/tenants/keys/{id}/revoke', [...renews])
  const [kind, setKind] = useState<'publishable' | 'server'>('publishable')
  const [label, setLabel] = useState('')
  const [origins, setOrigins] = useState('')
  const made = post.data
  const body = kind === 'server' ? { kind, label: label.trim() } : { label: label.trim(), origins: origins.split(/[\s,]+/).filter(Boolean) }
  return (
    <>
      <Sheet title="Make a key">
        <form className="row" onSubmit={(event) => { event.preventDefault(); post.mutate({ body: body as never }, { onSuccess: () => setLabel('') }) }}>
          <Field label="For"><select value={kind} onChange={(event) => setKind(event.target.value as 'server')}><option value="publishable">web pages</option><option value="server">a server</option></select></Field>
          <Field label="Called"><input maxLength={200} required value={label} onChange={(event) => setLabel(event.target.value)} /></Field>
          {kind === 'publishable' && <Field label="Origins that may use it" hint="With spaces between; none: any."><input value={origins} onChange={(event) => setOrigins(event.target.value)} placeholder="https://www.example.com" /></Field>}
          <Go label="Make it" submit primary busy={post.isPending} error={post.error} />
        </form>
        {made && (
          <Notice mood="warn">
            <p>The key is shown this once.</p><Copy text={made.key} />
            {(made as { kind?: string }).kind !== 'server' && <><p>On the landing page, once the visitor has arrived:</p><pre tabIndex={0}>{snippet(made.key)}</pre></>}
          </Notice>
        )}
      </Sheet>
      <Load of={found} what="the keys">{({ keys }) => (keys.length === 0
        ? <Sheet><Empty title="No key yet" hint="A page needs one to tell of the clicks that lead to it." /></Sheet>
        : (
          <Sheet flush title="Keys">
            <Table caption="Keys" rows={keys as Key[]} id={(one) => one.key_id} columns={[
              { name: 'Called', by: (one) => one.label, show: (one) => <><b>{one.label || 'no name'}</b><span className="id line">{one.prefix}…</span></> },
              { name: 'For', minor: true, show: (one) => (one.kind === 'server' ? 'a server' : one.origins.length > 0 ? one.origins.join(', ') : 'any page') },
              { name: 'Made', by: (one) => one.created_at, minor: true, show: (one) => <>{time(one.created_at)}<span className="small soft line">by {one.created_by}</span></> },
              { name: 'Revoke', head: <span className="visually-hidden">Revoke</span>, show: (one) => (one.revoked_at ? <Badge>revoked {time(one.revoked_at)}</Badge> : <Go label="Revoke" name={`Revoke ${one.label || one.prefix}`} danger busy={revoke.isPending} onClick={() => revoke.mutate({ params: { path: { id: one.key_id } } })} />) },
            ]} />
          </Sheet>
        ))}</Load>
      <Notice>A key in a page is no secret: it opens the click beacon and nothing else.</Notice>
      {revoke.error && <Notice mood="bad" alert>{revoke.error.message}</Notice>}
    </>
  )
}

const snippet = (key: string) => `const q = new URLSearchParams(location.search)
navigator.sendBeacon('${location.origin}/api/ml/attribution/track-click', JSON.stringify({
  publishable_key: '${key}', ad_id: q.get('ad_id'), campaign_id: q.get('campaign_id'),
  fbclid: q.get('fbclid'), gclid: q.get('gclid'), landing_page_url: location.href,
}))`
