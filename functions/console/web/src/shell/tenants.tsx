// Somebody with several tenants chooses; an invitation is accepted or declined before that tenant decides anything.
import { useMutation } from '@tanstack/react-query'
import { newKey } from '@geminivideo/ml-api'
import { client } from '../api/client'
import { queries, useLoose } from '../api/query'
import { renew, session, signOut } from '../auth/session'
import { Go, Load, Sheet, View } from '../parts/basic'

interface Me { email: string; tenants: { id: string; name: string; role: string; state: 'invited' | 'member' }[]; current?: string }

const useMe = (enabled = true) => useLoose<Me>('/api/me', { enabled })

// act writes and then fetches a token that says so.
function useAct() {
  return useMutation<void, Error, { method: 'PUT' | 'POST'; path: string; body?: unknown; stay?: string }>({
    mutationFn: async ({ method, path, body, stay }) => {
      const write = (by: 'PUT' | 'POST', to: string, what: unknown) =>
        (client[by] as (path: string, init: unknown) => Promise<unknown>)(to, { body: what, params: { header: { 'Idempotency-Key': newKey() } } })
      if (stay) await write('PUT', '/api/me/tenant', { tenant_id: stay }) // or the next token may name the company that came first
      await write(method, path, body)
      const stale = session()?.access
      if (stale) await renewNow(stale)
      await queries.invalidateQueries({ queryKey: ['/api/me'] })
    },
  })
}

async function renewNow(stale: string) {
  const fresh = await renew(stale)
  if (fresh === stale) throw new Error('The new choice counts from your next sign-in: no fresh token could be had just now.')
}

function List({ me }: { me: Me }) {
  const act = useAct()
  return (
    <ul className="list">
      {me.tenants.map((one) => (
        <li key={one.id} className="row">
          <span><b>{one.name}</b> <span className="soft">{one.state === 'invited' ? `invites you as ${one.role}` : one.role}</span></span>
          {one.state === 'invited' ? (
            <>
              <Go label="Accept" name={`Accept the invitation of ${one.name}`} primary busy={act.isPending} onClick={() => act.mutate({ method: 'POST', path: `/api/me/invitations/${one.id}/accept`, stay: me.current })} />
              <Go label="Decline" name={`Decline the invitation of ${one.name}`} busy={act.isPending} onClick={() => act.mutate({ method: 'POST', path: `/api/me/invitations/${one.id}/decline` })} />
            </>
          ) : one.id === me.current
            ? <span className="soft">you are here</span>
            : <Go label="Go there" name={`Go to ${one.name}`} busy={act.isPending} onClick={() => act.mutate({ method: 'PUT', path: '/api/me/tenant', body: { tenant_id: one.id } })} />}
        </li>
      ))}
      {act.error && <li className="bad" role="alert">{act.error.message}</li>}
    </ul>
  )
}

/** TenantChoice is the part of the account's menu where one changes between tenants. */
export function TenantChoice({ shown, show }: { shown: boolean; show: () => void }) {
  const me = useMe(shown)
  if (!shown) return <button type="button" className="plain" onClick={show}>Companies and invitations</button>
  return <Load of={me} what="your companies">{(found) => (found && found.tenants.length > 0 ? <List me={found} /> : <p className="small soft">You belong to this company only.</p>)}</Load>
}

/** TenantGate is for somebody whose token names no tenant yet. */
export function TenantGate() {
  const me = useMe()
  return (
    <View title="Choose a company" lead={`You are signed in as ${session()?.email ?? ''}.`}>
      <Sheet>
        <Load of={me} what="your companies">{(found) => (found && found.tenants.length > 0
          ? <List me={found} />
          : <p>You are not a member of any company here. Ask its admin to add this e-mail address, then sign in again.</p>)}</Load>
        <Go label="Sign out" onClick={() => void signOut(false)} />
      </Sheet>
    </View>
  )
}
