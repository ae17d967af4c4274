import { useState } from 'react'
import { may } from '../auth/session'
import { useGet, useSend } from '../api/query'
import { useOnline } from '../parts/address'
import { Badge, Go, Trouble } from '../parts/basic'
import { Dialog } from '../parts/dialog'
import { plural } from '../parts/format'

/** TopBar is always in sight: whose money this is, how far the system may go, and the switch that stops all writes. */
export function TopBar() {
  const online = useOnline()
  const accounts = useGet('/api/accounts')
  const [asking, setAsking] = useState(false)
  const put = useSend('put', '/api/tenants', ['/api/accounts', '/api/tenants'])
  const tenant = accounts.data?.tenant
  const list = accounts.data?.accounts ?? []
  const live = list.filter((one) => one.mode === 'live' && !one.paused).length
  const stopped = tenant?.paused
  return (
    <div className={stopped ? 'top stopped' : 'top'}>
      <b>{tenant?.name ?? ' '}</b>
      {tenant && (stopped
        ? <span role="status">All writes to the ad platforms are stopped.</span>
        : <Badge mood={live > 0 ? 'good' : ''}>{live > 0 ? `${plural(live, 'account')} of ${list.length} live` : 'no account is live'}</Badge>)}
      <span className="grow" />
      {!online && <Badge mood="warn">You are offline</Badge>}
      {tenant && may('admin') && (stopped
        ? <Go label="Let writes go on" onClick={() => setAsking(true)} />
        : <Go label="Stop all writes" danger busy={put.isPending} error={put.error} onClick={() => put.mutate({ body: { paused: true } })} />)}
      <Dialog title="Let writes go on?" open={asking} onClose={() => setAsking(false)}>
        <p>Changes that wait are carried out again, each by its account’s mode: {plural(live, 'account')} of {list.length} may write by itself.</p>
        <Trouble error={put.error} />
        <div className="row">
          <Go label="Let writes go on" primary busy={put.isPending} onClick={() => put.mutate({ body: { paused: false } }, { onSuccess: () => setAsking(false) })} />
          <Go label="Leave them stopped" onClick={() => setAsking(false)} />
        </div>
      </Dialog>
    </div>
  )
}
