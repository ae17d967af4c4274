// Who belongs to the company, and with which role.
import { useState } from 'react'
import { signedInAs } from '../../auth/session'
import { useGet, useSend, type Answer } from '../../api/query'
import { Badge, Field, Go, Load, Sheet, Trouble } from '../../parts/basic'
import { Dialog } from '../../parts/dialog'
import { time } from '../../parts/format'
import { Table } from '../../parts/table'

type Member = Answer<'/api/tenants/members'>['members'][number] & { state?: 'invited' | 'member' }
type Role = Member['role']
const renews = ['/api/tenants/members'] as const
const roles: Record<Role, string> = { viewer: 'Viewer: reads', editor: 'Editor: splits budgets, imports, plans', admin: 'Admin: approves, connects, goes live' }

export function MembersPage() {
  const found = useGet('/api/tenants/members')
  const post = useSend('post', '/api/tenants/members', [...renews])
  const remove = useSend('post', '/api/tenants/members/remove', [...renews])
  const [email, setEmail] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const [leaving, setLeaving] = useState<string>()
  return (
    <>
      <Sheet title="Invite somebody">
        <form className="row" onSubmit={(event) => { event.preventDefault(); post.mutate({ body: { email: email.trim(), role } }, { onSuccess: () => setEmail('') }) }}>
          <Field label="E-mail address"><input type="email" required value={email} onChange={(event) => setEmail(event.target.value)} /></Field>
          <Field label="Role"><select value={role} onChange={(event) => setRole(event.target.value as Role)}>{Object.entries(roles).map(([value, name]) => <option key={value} value={value}>{name}</option>)}</select></Field>
          <Go label="Invite" submit primary busy={post.isPending} error={post.error} done={post.data && `${post.data.email} may sign in here and accept.`} />
        </form>
      </Sheet>
      <Load of={found} what="the members">{({ members }) => (
        <Sheet flush title="Members">
          <Table caption="Members" rows={members as Member[]} id={(one) => one.email} columns={[
            { name: 'E-mail', by: (one) => one.email, show: (one) => <>{one.email} {one.state === 'invited' && <Badge mood="warn">invited</Badge>}</> },
            { name: 'Role', by: (one) => one.role, show: (one) => (
              <select aria-label={`Role of ${one.email}`} value={one.role} onChange={(event) => post.mutate({ body: { email: one.email, role: event.target.value as Role } })}>{(Object.keys(roles) as Role[]).map((value) => <option key={value} value={value}>{value}</option>)}</select>
            ) },
            { name: 'Since', by: (one) => one.added_at, minor: true, show: (one) => <>{time(one.added_at)}<span className="small soft line">by {one.added_by}</span></> },
            { name: 'Remove', head: <span className="visually-hidden">Remove</span>, show: (one) => <Go label="Remove …" name={`Remove ${one.email}`} plain onClick={() => setLeaving(one.email)} /> },
          ]} />
        </Sheet>
      )}</Load>
      <Dialog title={`Remove ${leaving ?? ''}?`} open={leaving !== undefined} onClose={() => setLeaving(undefined)}>
        <p>{leaving === signedInAs()?.email ? 'You remove yourself: you lose access at once.' : 'They can change nothing from now on, and see nothing after their present sign-in.'}</p>
        <Trouble error={remove.error} />
        <div className="row">
          <Go label="Remove" danger busy={remove.isPending} onClick={() => leaving && remove.mutate({ body: { email: leaving } }, { onSuccess: () => setLeaving(undefined) })} />
          <Go label="Leave them in" onClick={() => setLeaving(undefined)} />
        </div>
      </Dialog>
    </>
  )
}
