// Meta: which ad accounts are connected, and the token that reads and changes them.
import { useState } from 'react'
import { useGet, useSend } from '../../api/query'
import { Badge, Facts, Field, Go, Load, Notice, Sheet, Trouble } from '../../parts/basic'
import { Dialog } from '../../parts/dialog'
import { day, time } from '../../parts/format'

const renews = ['/api/connections/meta', '/api/accounts'] as const

export function MetaPage() {
  const found = useGet('/api/connections/meta')
  const put = useSend('put', '/api/connections/meta', [...renews])
  const [leaving, setLeaving] = useState<string>()
  return (
    <>
      <Load of={found} what="the connections">{({ connections }) => <>{(connections ?? []).map((one) => (
        <Sheet key={one.account_id} title={one.name || one.account_id} beside={<Badge mood={one.connected ? 'good' : 'bad'}>{one.connected ? 'connected' : 'disconnected'}</Badge>}>
          <Facts of={[['Account', <span className="id">{one.account_id}</span>], ['Since', `${time(one.connected_at)} by ${one.connected_by}`], ['Figures up to', day(one.synced_through)], ['Token set', time(one.access_token.set_at)]]} />
          {one.last_error && <Notice mood="bad">{one.last_error}</Notice>}
          {one.connected && <Go label="Disconnect …" name={`Disconnect ${one.name || one.account_id}`} danger onClick={() => setLeaving(one.account_id)} />}
        </Sheet>
      ))}</>}</Load>
      <Connect />
      <Dialog title="Disconnect this ad account?" open={leaving !== undefined} onClose={() => setLeaving(undefined)}>
        <p>Its figures stay; no new ones come, and nothing is changed on it any more.</p>
        <Trouble error={put.error} />
        <div className="row">
          <Go label="Disconnect" danger busy={put.isPending} onClick={() => leaving && put.mutate({ body: { account_id: leaving, disconnected: true } }, { onSuccess: () => setLeaving(undefined) })} />
          <Go label="Leave it connected" onClick={() => setLeaving(undefined)} />
        </div>
      </Dialog>
    </>
  )
}

function Connect() {
  const put = useSend('put', '/api/connections/meta', [...renews])
  const [account, setAccount] = useState('')
  const [token, setToken] = useState('')
  const [page, setPage] = useState('')
  const [pageToken, setPageToken] = useState('')
  return (
    <Sheet title="Connect an ad account, or renew its token">
      <form className="stack" onSubmit={(event) => {
        event.preventDefault()
        put.mutate({ body: { account_id: account.trim(), access_token: token.trim(), ...(page && { page_id: page.trim(), page_access_token: pageToken.trim() }) } as never }, { onSuccess: () => { setToken(''); setPageToken('') } })
      }}>
        <Field label="Ad account id" hint="act_ and digits, as Ads Manager shows it."><input value={account} onChange={(event) => setAccount(event.target.value)} required maxLength={128} /></Field>
        <Field label="Access token" hint="Of a system user with ads_read and ads_management. It goes to Secret Manager and is not shown again."><input type="password" autoComplete="off" value={token} onChange={(event) => setToken(event.target.value)} required /></Field>
        <details>
          <summary>Lead forms of a page</summary>
          <div className="grid">
            <Field label="Page id"><input value={page} onChange={(event) => setPage(event.target.value)} inputMode="numeric" /></Field>
            <Field label="Page access token"><input type="password" autoComplete="off" value={pageToken} onChange={(event) => setPageToken(event.target.value)} required={page !== ''} /></Field>
          </div>
        </details>
        <Go label="Connect" submit primary busy={put.isPending} error={put.error} done={put.isSuccess && 'Connected. Figures come with the next hourly sync.'} />
      </form>
    </Sheet>
  )
}
